// The stages of a run: what is at work in each and for how long, its counts and its latencies.

class LaneView {
  constructor() {
    this.bar = make('i');
    this.name = make('span');
    this.time = make('span');
    this.element = make('li', {class: 'lane'}, this.bar, this.name, this.time);
  }

  update({item, longest}) {
    const [index, seconds] = item;
    setText(this.name, `item ${index}`);
    setText(this.time, formatSeconds(seconds));
    this.bar.style.width = `${longest > 0 ? Math.min((seconds / longest) * 100, 100) : 0}%`;
  }
}

class NoteView {
  constructor() {
    this.element = make('li', {class: 'lane note'});
  }

  update({note}) {
    setText(this.element, note);
  }
}

class StageView {
  constructor() {
    this.name = make('h4');
    this.work = make('span', {class: 'small'});
    this.counts = make('span', {class: 'small soft'});
    const lanes = make('ul', {class: 'lanes'});
    this.chart = new LatencyChart();
    this.percentiles = make('p', {class: 'small soft'});
    const head = make('div', {class: 'head'}, this.name, this.work, this.counts);
    const latencies = make('div', {}, this.chart.element, this.percentiles);
    this.element = make('div', {class: 'stage', role: 'group'}, head, lanes, latencies);
    this.lanes = new Views(lanes, (value) => ('note' in value ? new NoteView() : new LaneView()));
  }

  update(stage) {
    setText(this.name, stage.name);
    setAttribute(this.element, 'aria-label', stage.name);
    setText(this.work, `${formatCount(stage.in_work)} of ${formatCount(stage.most)} at work`);
    setText(this.counts, describeCounts(stage).join(' · '));
    const longest = Math.max(...stage.items.map((item) => item[1]), stage.percentiles[1] ?? 0);
    const values = stage.items.map((item) => ({item, longest}));
    const more = stage.in_work - stage.items.length;
    if (more > 0) values.push({note: `and ${formatCount(more)} younger`});
    if (!values.length) values.push({note: 'nothing at work'});
    this.lanes.update(values, (value, index) => ('note' in value ? 'note' : index));
    this.chart.update(stage.latencies);
    const [p50, p95, p99] = stage.percentiles.map(formatSeconds);
    setText(this.percentiles, stage.latencies.length ? `p50 ${p50} · p95 ${p95} · p99 ${p99}` : '');
  }
}

const KINDS = ['finished', 'failed', 'retried', 'dropped', 'cancelled', 'overflowed'];

function describeCounts(stage) {
  return KINDS.filter((kind) => kind === 'finished' || stage[kind] > 0).map(
    (kind) => `${formatCount(stage[kind])} ${kind}`,
  );
}

class FailureView {
  constructor() {
    this.where = make('div', {class: 'where'});
    this.error = make('div', {class: 'error'});
    this.element = make('li', {}, this.error, this.where);
  }

  update(failure) {
    setText(this.error, failure.error);
    setText(this.where, `item ${failure.index} of ${failure.stage}, after ${formatSeconds(failure.seconds)}`);
  }
}
