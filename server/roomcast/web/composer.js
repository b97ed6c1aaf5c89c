/**
 * Where one writes. Enter sends, Shift+Enter breaks the line, Esc in an empty field stops the running answer.
 */

import { SendIcon, SparkIcon, SpeechIcon, StopIcon } from "./icons.js";
import { html, signal, useEffect, useLayoutEffect, useMemo, useRef } from "./lib.js";
import { typingLine } from "./words.js";

/** @param {{store: import("./store.js").Store, follow: import("./follow.js").Follow}} props */
export function Composer({ store, follow }) {
  const field = useRef(null);
  const asked = useMemo(() => signal(true), []);
  const text = store.draft.value;
  const running = store.running.value;
  const closed = store.status.value.state === "closed" || !store.maySpeak();
  const mayStop = running.length > 0 && !text.trim() && !closed;

  useLayoutEffect(() => fit(field.current), [text]);
  useEffect(() => {
    if (matchMedia("(pointer: fine)").matches) field.current.focus();
  }, []);

  const send = async () => {
    const said = text.trim();
    if (!said || closed) return;
    store.draft.value = "";
    follow.toEnd();
    const taken = await store.say(said, asked.value);
    if (!taken && !store.draft.value) store.draft.value = said;
  };
  const stop = () => store.stop(running.at(-1));
  const keys = (event) => {
    if (event.isComposing || event.keyCode === 229) return;
    if (event.key === "Enter" && !event.shiftKey && !event.altKey) {
      event.preventDefault();
      send();
    } else if (event.key === "Escape" && mayStop) {
      event.preventDefault();
      stop();
    }
  };
  const input = (event) => {
    store.draft.value = event.target.value;
    store.typing(Boolean(event.target.value.trim()));
  };

  return html`<form class="composer" aria-label="Write" onSubmit=${(event) => (event.preventDefault(), send())}>
    <textarea ref=${field} rows="1" dir="auto" value=${text} placeholder=${invitation(store, asked.value)}
      aria-label="Message" aria-keyshortcuts="Enter Escape" enterkeyhint="send" autocomplete="off" disabled=${closed} onKeyDown=${keys} onInput=${input} />
    <div class="tools">
      <${Audience} asked=${asked} />
      <span class="hint" aria-hidden="true">${hint(running.length > 0, mayStop)}</span>
      ${mayStop
        ? html`<button type="button" class="round stop" title="Stop (Esc)" aria-label="Stop the answer" onClick=${stop}><${StopIcon} /></button>`
        : html`<button type="submit" class="round" title="Send (Enter)" aria-label="Send" disabled=${closed || !text.trim()}><${SendIcon} /></button>`}
    </div>
  </form>`;
}

function invitation(store, asked) {
  if (!store.maySpeak()) return "You may read along here, but not write";
  return asked ? "Ask, with everybody watching" : "Say something to the people here";
}

function hint(busy, mayStop) {
  if (mayStop) return "Esc stops the answer";
  return busy ? "An answer is on its way: yours waits in line" : "Enter sends · Shift+Enter breaks the line";
}

/** Whether the model shall answer, or this is only for the people. */
function Audience({ asked }) {
  const option = (value, icon, label) => html`<label class=${asked.value === value ? "on" : ""}>
    <input type="radio" name="audience" checked=${asked.value === value} onChange=${() => (asked.value = value)} />${icon}${label}
  </label>`;
  return html`<fieldset class="audience">
    <legend class="unseen">Who is meant</legend>
    ${option(true, html`<${SparkIcon} />`, "Ask")}${option(false, html`<${SpeechIcon} />`, "Just say")}
  </fieldset>`;
}

/** Who is writing. The line keeps its place when it is empty, so that nothing jumps. */
export function Typing({ store }) {
  const me = store.you.value?.id;
  const names = store.people.value.members.filter((member) => member.state?.typing && member.id !== me).map((member) => member.name);
  const line = typingLine(names);
  return html`<p class=${line ? "typing on" : "typing"}>${line && html`<span class="dots" aria-hidden="true"><i /><i /><i /></span>${line}`}</p>`;
}

/** Let the field be as high as its text, up to what the style sheet allows. */
function fit(field) {
  field.style.height = "auto";
  field.style.height = `${field.scrollHeight}px`;
}
