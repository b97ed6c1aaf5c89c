/**
 * Follow the newest text, but only for who stands at the end: whoever has scrolled up to read is left alone.
 */

import { signal } from "./lib.js";

const NEAR_END_PX = 32;

/** How one scrolling box follows its content. */
export class Follow {
  #box;
  #sizes;
  #last = 0;

  constructor() {
    /** Whether the reader stands at the end. */
    this.atEnd = signal(true);
    /** Whether something came that the reader has not seen. */
    this.unseen = signal(false);
  }

  /** Start to follow `content`, which grows inside `box`. Gives back how to stop. */
  attach(box, content) {
    this.#box = box;
    this.#sizes = new ResizeObserver(() => this.#grown());
    this.#sizes.observe(content);
    this.#sizes.observe(box);
    box.addEventListener("scroll", this.#scrolled, { passive: true });
    return () => {
      this.#sizes.disconnect();
      box.removeEventListener("scroll", this.#scrolled);
    };
  }

  /** Go to the end, and follow from there. */
  toEnd(smooth = false) {
    this.atEnd.value = true;
    this.unseen.value = false;
    const calm = smooth && !matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.#box?.scrollTo({ top: this.#box.scrollHeight, behavior: calm ? "smooth" : "instant" });
  }

  /** Keep what is on the screen where it is while `change` puts something above it. */
  async hold(change) {
    const box = this.#box;
    const fromEnd = box.scrollHeight - box.scrollTop;
    await change();
    requestAnimationFrame(() => requestAnimationFrame(() => box.scrollTo({ top: box.scrollHeight - fromEnd, behavior: "instant" })));
  }

  /** Something new has come. */
  mark() {
    if (!this.atEnd.value) this.unseen.value = true;
  }

  #grown() {
    if (this.atEnd.value) this.toEnd();
  }

  #scrolled = () => {
    const { scrollTop, scrollHeight, clientHeight } = this.#box;
    const near = scrollHeight - scrollTop - clientHeight < NEAR_END_PX;
    // Growth of the content moves the end away, not the reader: only a move upwards is a wish to stay.
    if (near) this.atEnd.value = true;
    else if (scrollTop < this.#last - 1) this.atEnd.value = false;
    if (near) this.unseen.value = false;
    this.#last = scrollTop;
  };
}
