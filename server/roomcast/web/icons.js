/** Icons, drawn with the colour of the text around them. */

import { html } from "./lib.js";

const icon = (paths) => (props) => html`<svg class="icon" viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="1.8"
  stroke-linecap="round" stroke-linejoin="round" aria-hidden="true" ...${props}>${paths}</svg>`;

export const SendIcon = icon(html`<path d="M12 19V5.5M6 11l6-6 6 6" />`);
export const StopIcon = icon(html`<rect x="7" y="7" width="10" height="10" rx="2" fill="currentColor" stroke="none" />`);
export const DownIcon = icon(html`<path d="M12 5v13.5M6 13l6 6 6-6" />`);
export const CloseIcon = icon(html`<path d="M6.5 6.5l11 11M17.5 6.5l-11 11" />`);
export const PeopleIcon = icon(html`<circle cx="9" cy="8.5" r="3.2" /><path d="M3.5 19c.5-3.4 2.6-5 5.5-5s5 1.6 5.5 5M15.5 5.8a3 3 0 0 1 0 5.6M17.3 14.4c1.9.6 3 2.1 3.3 4.6" />`);
export const SunIcon = icon(html`<circle cx="12" cy="12" r="4" /><path d="M12 3v1.5M12 19.5V21M3 12h1.5M19.5 12H21M5.6 5.6l1.1 1.1M17.3 17.3l1.1 1.1M5.6 18.4l1.1-1.1M17.3 6.7l1.1-1.1" />`);
export const MoonIcon = icon(html`<path d="M19.5 14.2A8 8 0 0 1 9.8 4.5a8 8 0 1 0 9.7 9.7z" />`);
export const LinkIcon = icon(html`<path d="M10 14a4 4 0 0 0 5.7 0l3-3A4 4 0 0 0 13 5.3l-1 1M14 10a4 4 0 0 0-5.7 0l-3 3A4 4 0 0 0 11 18.7l1-1" />`);
export const CopyIcon = icon(html`<rect x="9" y="9" width="10.5" height="10.5" rx="2.5" /><path d="M5.5 15H5a1.5 1.5 0 0 1-1.5-1.5V5.5A2 2 0 0 1 5.5 3.5h8A1.5 1.5 0 0 1 15 5v.5" />`);
export const AgainIcon = icon(html`<path d="M19.5 12a7.5 7.5 0 1 1-2.3-5.4M19.5 3.5v4h-4" />`);
export const ChevronIcon = icon(html`<path d="M7 10l5 5 5-5" />`);
export const SparkIcon = icon(html`<path d="M12 4.5l1.7 5 5 1.7-5 1.7-1.7 5-1.7-5-5-1.7 5-1.7z" fill="currentColor" stroke="none" />`);
export const SpeechIcon = icon(html`<path d="M5 18.5V6.5A1.5 1.5 0 0 1 6.5 5h11A1.5 1.5 0 0 1 19 6.5v8a1.5 1.5 0 0 1-1.5 1.5H8z" />`);

/** The mark: a point, and what goes out from it. */
export function Mark() {
  return html`<svg class="mark" viewBox="0 0 32 32" fill="none" stroke="currentColor" stroke-width="2.4" stroke-linecap="round" aria-hidden="true">
    <circle cx="16" cy="16" r="3.2" fill="currentColor" stroke="none" />
    <path class="near" d="M10.6 10.6a7.6 7.6 0 0 0 0 10.8M21.4 10.6a7.6 7.6 0 0 1 0 10.8" />
    <path class="far" d="M6.9 6.9a12.9 12.9 0 0 0 0 18.2M25.1 6.9a12.9 12.9 0 0 1 0 18.2" />
  </svg>`;
}
