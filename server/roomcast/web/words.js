/**
 * What the page says to people: one place for the words of every state, so that no code shows through.
 */

const FAILED = {
  upstream_rate_limited: "The model is busy right now. Try again in a moment.",
  upstream_unavailable: "The model could not be reached.",
  upstream_rejected: "The model refused this request.",
  upstream_timeout: "The model went silent.",
  upstream_disconnected: "The connection to the model was cut.",
  upstream_bad_response: "The model sent something that is not an answer.",
  context_too_large: "This conversation is longer than the model can read.",
  storage_unavailable: "The answer could not be stored, so it was stopped.",
  internal: "Something went wrong on the server.",
};

const INCOMPLETE = {
  max_output_tokens: "Ended at the length limit.",
  content_filter: "Ended by the content filter.",
  steered: "Went on in another direction.",
  upstream_eof: "The model broke off before it had finished.",
  time_limit: "Ended at the time limit.",
  output_limit: "Ended: it grew longer than a room may keep.",
};

const INTERRUPTED = {
  restart: "Interrupted when the server restarted.",
  drain: "Interrupted when the server was shut down.",
  owner_lost: "Interrupted: the server that was at work on it is gone.",
};

/**
 * How an answer ended, for people; empty where there is nothing to say.
 *
 * @param {import("./answer-state.js").Answer} answer
 * @param {(by: {id: string, name: string}) => string} nameOf
 */
export function ending(answer, nameOf) {
  switch (answer.status) {
    case "cancelling":
      return answer.stopper ? `Stopping for ${nameOf(answer.stopper)} …` : "Stopping …";
    case "cancelled":
      return cancelled(answer, nameOf);
    case "failed":
      return FAILED[answer.error?.code] ?? answer.error?.message ?? "This answer failed.";
    case "incomplete":
      return INCOMPLETE[answer.reason] ?? "This answer is not complete.";
    case "interrupted":
      return INTERRUPTED[answer.cause] ?? "This answer was interrupted.";
    default:
      return "";
  }
}

function cancelled({ receipt, reason, stopper }, nameOf) {
  const why = receipt?.reason ?? reason;
  const by = receipt?.by ?? stopper;
  if (why === "merged") return "Merged into another question.";
  if (why === "superseded") return "Replaced by a newer question.";
  if (why === "orphaned") return "Stopped, as nobody was left to watch.";
  const what = why === "withdrawn" ? "Withdrawn" : "Stopped";
  return by ? `${what} by ${nameOf(by)}` : `${what}.`;
}

/** Whether asking the same again makes sense. */
export function mayAskAgain(answer) {
  return ["failed", "interrupted"].includes(answer.status) || (answer.status === "incomplete" && answer.reason === "upstream_eof");
}

/** A place in line: "Next in line", "2nd in line", … */
export function placeInLine(place) {
  return place === 1 ? "Next in line" : `${ordinal(place)} in line`;
}

/** "1st", "2nd", "3rd", … */
function ordinal(number) {
  const tail = number % 100;
  const suffix = tail > 10 && tail < 14 ? "th" : (["th", "st", "nd", "rd"][number % 10] ?? "th");
  return `${number}${suffix}`;
}

/** "Ada is typing", "Ada and Bo are typing", "Several people are typing". */
export function typingLine(names) {
  if (names.length === 0) return "";
  if (names.length > 3) return "Several people are typing";
  const list = names.length === 1 ? names[0] : `${names.slice(0, -1).join(", ")} and ${names.at(-1)}`;
  return `${list} ${names.length === 1 ? "is" : "are"} typing`;
}

/** A duration: "0.8 s", "12 s", "3 min". */
export function duration(ms) {
  if (ms < 10_000) return `${(ms / 1000).toFixed(1)} s`;
  return ms < 120_000 ? `${Math.round(ms / 1000)} s` : `${Math.round(ms / 60_000)} min`;
}

/** A text without the signs of Markdown, for one line or for being read out. */
export function withoutMarks(text) {
  return text.replace(/```[^\n]*\n?/g, " ").replace(/!?\[([^\]]*)\]\([^)]*\)/g, "$1").replace(/^\s*([-*+]|#{1,6}|>)\s+/gm, "")
    .replace(/[*_`|]{1,3}/g, "").replace(/\s+/g, " ");
}
