/** Colours of scenes, one per prompt. A prompt keeps its colour while it or others are edited. */

const HUES = [212, 32, 158, 280, 4, 188, 330, 96, 248, 54];

export class Hues {
  constructor() {
    this.prompts = [];
    this.hues = [];
  }

  /** A hue in degrees for each prompt. */
  of(prompts) {
    const known = new Map(this.prompts.map((prompt, number) => [prompt, this.hues[number]]));
    const stays = new Set(prompts.filter((prompt) => known.has(prompt)));
    const shifted = prompts.length !== this.prompts.length;
    prompts.forEach((prompt, number) => {
      if (known.has(prompt)) return;
      const old = this.prompts[number];
      const retyped = !shifted && !stays.has(old);
      known.set(prompt, retyped ? this.hues[number] : this.free(prompts, known));
    });
    this.prompts = prompts;
    this.hues = prompts.map((prompt) => known.get(prompt));
    return this.hues;
  }

  free(prompts, known) {
    const used = prompts.map((prompt) => known.get(prompt));
    const times = (hue) => used.filter((other) => other === hue).length;
    return HUES.toSorted((a, b) => times(a) - times(b))[0];
  }
}
