// Charts, as SVG: the throughput over time, and a histogram of latencies.

const HEIGHT = 130;
const LEFT = 44;
const FLOOR = HEIGHT - 20;
const TOP = 12;

class Chart {
  constructor(label, width) {
    this.label = label;
    this.width = width;
    this.element = draw('svg', {class: 'chart', viewBox: `0 0 ${width} ${HEIGHT}`, role: 'img'});
    this.axis = this.add('path', {class: 'axis', d: `M${LEFT} ${TOP}V${FLOOR}H${width}`});
    this.most = this.add('text', {x: LEFT - 6, y: TOP + 6, 'text-anchor': 'end'});
    this.from = this.add('text', {x: LEFT, y: HEIGHT - 4});
    this.to = this.add('text', {x: width, y: HEIGHT - 4, 'text-anchor': 'end'});
  }

  add(name, attributes) {
    const element = draw(name, attributes);
    this.element.append(element);
    return element;
  }

  say(words) {
    setAttribute(this.element, 'aria-label', `${this.label}: ${words}`);
  }
}

// Over steps of a second at least, and a hundred at most, since single samples are mostly noise.
function computeRates(history) {
  const rates = [];
  const step = Math.max(history[history.length - 1][0] / 100, 1);
  let from = history[0];
  history.forEach((point, at) => {
    const seconds = point[0] - from[0];
    if (seconds < step && !(at === history.length - 1 && !rates.length && seconds > 0)) return;
    rates.push([from[0], point[0], (point[1] - from[1]) / seconds]);
    from = point;
  });
  return rates;
}

class ThroughputChart extends Chart {
  constructor() {
    super('throughput', 330);
    this.area = this.add('path', {class: 'area'});
    this.line = this.add('path', {class: 'line'});
  }

  update(history, rate) {
    const rates = computeRates(history);
    const end = history[history.length - 1][0] || 1;
    const highest = roundUp(Math.max(...rates.map((each) => each[2]), 0));
    const x = (seconds) => (LEFT + (seconds / end) * (this.width - LEFT)).toFixed(1);
    const y = (value) => (FLOOR - (value / highest) * (FLOOR - TOP)).toFixed(1);
    const steps = rates.map(([from, to, value]) => `${x(from)} ${y(value)}L${x(to)} ${y(value)}`);
    const path = steps.length ? `M${steps.join('L')}` : '';
    setAttribute(this.line, 'd', path);
    setAttribute(this.area, 'd', path && `${path}V${FLOOR}H${LEFT}Z`);
    setText(this.most, formatRate(highest));
    setText(this.from, '0');
    setText(this.to, formatSeconds(end));
    this.say(`${formatRate(rate)} items a second, at most ${formatRate(highest)}`);
  }
}

class LatencyChart extends Chart {
  constructor() {
    super('latencies', 270);
    this.columns = this.add('path', {class: 'column'});
  }

  // Each class of latencies is a quarter of an octave, from 1 µs on.
  update(classes) {
    setHidden(this.element, classes.length === 0);
    if (classes.length === 0) return;
    const first = classes[0][0];
    const last = classes[classes.length - 1][0];
    const spare = Math.max(8 - (last - first), 0);
    const low = Math.max(first - Math.ceil(spare / 2), 0);
    const high = last + Math.floor(spare / 2);
    const most = Math.max(...classes.map((each) => each[1]));
    const width = (this.width - LEFT) / (high - low + 1);
    const columns = classes.map(([at, count]) => {
      const tall = Math.max((count / most) * (FLOOR - TOP), 1.5);
      const x = LEFT + (at - low) * width;
      return `M${x.toFixed(1)} ${FLOOR}v${(-tall).toFixed(1)}h${(width - 1).toFixed(1)}v${tall.toFixed(1)}Z`;
    });
    setAttribute(this.columns, 'd', columns.join(''));
    setText(this.most, compact.format(most));
    setText(this.from, formatSeconds(1e-6 * 2 ** ((low - 1) / 4)));
    setText(this.to, formatSeconds(1e-6 * 2 ** (high / 4)));
    const total = classes.reduce((sum, each) => sum + each[1], 0);
    this.say(`${formatCount(total)} items`);
  }
}
