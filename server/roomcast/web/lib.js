/**
 * The one door to the vendored libraries, so that a new version touches one import.
 */

import { Component, Fragment, createElement, render } from "./vendor/preact.js";
import { useEffect, useLayoutEffect, useMemo, useRef } from "./vendor/preact-hooks.js";
import { batch, computed, effect, signal } from "./vendor/signals.js";
import htm from "./vendor/htm.js";

export { Fragment, batch, computed, createElement as h, effect, render, signal, useEffect, useLayoutEffect, useMemo, useRef };

/** Templates that become virtual nodes: html`<p class=${name}>…</p>`. */
export const html = htm.bind(createElement);

/**
 * A component that renders again only when one of the named properties is another value.
 *
 * @param {(props: object) => any} view
 * @param {string[]} [names] Default: all that it is given.
 */
export function memo(view, names) {
  return class Memo extends Component {
    shouldComponentUpdate(next) {
      const compared = names ?? Object.keys({ ...next, ...this.props });
      return compared.some((name) => next[name] !== this.props[name]);
    }

    render(props) {
      return view(props);
    }
  };
}
