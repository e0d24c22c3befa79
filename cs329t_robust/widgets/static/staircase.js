// The adaptive staircase of staircase.py, step for step: a browser test compares the two. Constants have the same names.
const TRIALS = 18, UP = 3, DOWN = 1, FAST = 2, SURE = 6;
const SLOPE = 3.0, LAPSE = 0.02, PER_OCTAVE = 12, BEYOND = 2, BLIND = 0.05;

function chanceRight(size, threshold) {
  return 0.5 + (0.5 - LAPSE) * (1 - 2 ** -(Math.min(size / threshold, 1e6) ** SLOPE));
}

class Staircase {
  constructor(levels, trials = TRIALS) {
    Object.assign(this, { levels, trials, index: levels.length - 1, answers: [] });
  }

  static replay(levels, answers, trials = TRIALS) {
    const stairs = new Staircase(levels, trials);
    for (const right of answers) stairs.answer(right);
    return stairs;
  }

  get level() {
    return this.levels[this.index];
  }

  get done() {
    const last = this.answers.slice(-SURE);
    return this.answers.length >= this.trials || (last.length === SURE && last.every(([index, right]) => index === 0 && right));
  }

  answer(right) {
    if (this.done) throw new Error("the staircase has ended");
    this.answers.push([this.index, right]);
    const unbroken = this.answers.every((answer) => answer[1]);
    const step = right ? -(unbroken ? FAST : DOWN) : UP;
    this.index = Math.min(Math.max(this.index + step, 0), this.levels.length - 1);
  }

  get threshold() {
    const [sizes, belief] = this.posterior();
    const [low, middle, high] = [0.025, 0.5, 0.975].map((share) => Staircase.quantile(sizes, belief, share));
    const bottom = this.levels[0], top = this.levels[this.levels.length - 1];
    const where = middle < bottom ? "below" : middle > top ? "above" : "within";
    const onLadder = (size) => (bottom <= size && size <= top ? size : null);
    return { size: where === "within" ? middle : null, low: onLadder(low), high: onLadder(high), where };
  }

  posterior() {
    const bottom = this.levels[0], top = this.levels[this.levels.length - 1];
    const octaves = Math.log2(top / bottom) + 2 * BEYOND;
    const n = Math.round(octaves * PER_OCTAVE);
    const first = Math.log2(bottom) - BEYOND;
    const sizes = Array.from({ length: n + 1 }, (_, i) => 2 ** (first + (octaves * i) / n)).concat(Infinity);
    const logs = sizes.map((size) => {
      let total = Math.log(size === Infinity ? BLIND : (1 - BLIND) / (n + 1));
      for (const [index, right] of this.answers) {
        const p = chanceRight(this.levels[index], size);
        total += Math.log(right ? p : 1 - p);
      }
      return total;
    });
    const highest = Math.max(...logs);
    const belief = logs.map((one) => Math.exp(one - highest));
    const whole = belief.reduce((sum, one) => sum + one, 0);
    return [sizes, belief.map((one) => one / whole)];
  }

  static quantile(sizes, belief, share) {
    let total = 0;
    for (let i = 0; i < sizes.length; i++) {
      total += belief[i];
      if (total >= share) return sizes[i];
    }
    return sizes[sizes.length - 1];
  }
}
