// The slider from now to an hour ahead, and how much of the network stands at each level.

import { byId, h, setText } from "./dom.js";
import { clock, percent, say } from "./text.js";

const STOPS = 13;
const PLAY_MS = 900;

export class Timeline {
  /** `onStep(step)` is called with 0 (now) to 12. */
  constructor(onStep) {
    this.step = 0;
    this.timer = null;
    this.onStep = onStep;
    this.input = byId("step");
    this.input.addEventListener("input", () => {
      this.stop();
      this.go(Number(this.input.value));
    });
    byId("play").addEventListener("click", () => (this.timer ? this.stop() : this.play()));
    byId("ticks").append(
      ...Array.from({ length: STOPS }, (_, stop) => h("span", {}, stop === 0 ? "0" : `+${stop * 5}`)),
    );
  }

  go(step) {
    this.step = step;
    this.input.value = String(step);
    this.onStep(step);
  }

  play() {
    this.timer = setInterval(() => this.go((this.step + 1) % STOPS), PLAY_MS);
    this.words();
  }

  stop() {
    clearInterval(this.timer);
    this.timer = null;
    this.words();
  }

  words() {
    const play = byId("play");
    play.textContent = this.timer ? "❚❚" : "▶";
    play.title = say(this.timer ? "pause" : "play");
    play.setAttribute("aria-label", play.title);
    play.setAttribute("aria-pressed", this.timer ? "true" : "false");
    this.input.setAttribute("aria-label", say("step"));
  }

  /** Start of the interval the map shows, event time. */
  startMs({ state, forecast }) {
    if (this.step === 0 || !forecast) return state.start_ms;
    return forecast.first_step_ms + (this.step - 1) * forecast.step_s * 1000;
  }

  /** Says which time the map shows and how the network stands then. */
  show(minute, shares) {
    const { state, forecast } = minute;
    this.input.disabled = !forecast;
    byId("play").disabled = !forecast;
    let when = `${say("now")} · ${clock(state.start_ms)}–${clock(state.end_ms)}`;
    if (this.step > 0 && forecast) {
      const start = this.startMs(minute);
      const end = start + forecast.step_s * 1000;
      when = `+${this.step * 5} ${say("minutes")} · ${clock(start)}–${clock(end)} ${say("forecast")}`;
    }
    setText("when", when);
    this.input.setAttribute("aria-valuetext", when);
    byId("when").dataset.forecast = String(this.step > 0);
    const congested = shares[2] + shares[3] + shares[4];
    setText("share", `${percent(congested)} ${say("congested")}`);
    const mix = byId("mix");
    mix.setAttribute(
      "aria-label",
      `${say("mix")}: ${shares.map((share, index) => `${say("levels")[index]} ${percent(share)}`).join(", ")}`,
    );
    if (mix.childElementCount !== shares.length) {
      mix.replaceChildren(...shares.map((_, index) => h("span", { class: `level-${index + 1}` })));
    }
    shares.forEach((share, index) => {
      mix.children[index].style.flexGrow = String(Math.max(share, 0.0001));
    });
  }
}

/** Shares of the network by level, weighted by lane length. */
export function sharesOf(levels, segments) {
  const sums = [0, 0, 0, 0, 0];
  let all = 0;
  for (let id = 0; id < levels.length; id += 1) {
    const properties = segments[id]?.properties;
    if (!properties) continue;
    const weight = properties.length_m * properties.lanes;
    sums[levels.charCodeAt(id) - 49] += weight;
    all += weight;
  }
  return sums.map((sum) => (all > 0 ? sum / all : 0));
}
