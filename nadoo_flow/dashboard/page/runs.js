// A run: its progress, its counts, its stages, its failures and the diagram of its pipeline.

class TileView {
  constructor() {
    this.name = make('dt');
    this.value = make('dd');
    this.element = make('div', {class: 'tile'}, this.name, this.value);
  }

  update([name, value, alarm]) {
    setText(this.name, name);
    setAttribute(this.name, 'title', name);
    setText(this.value, value);
    setAttribute(this.element, 'data-alarm', alarm ? 'yes' : 'no');
    setAttribute(this.element, 'data-name', name);
  }
}

function sum(stages, kind) {
  return stages.reduce((total, stage) => total + stage[kind], 0);
}

function listTiles(run) {
  const {stages} = run;
  const last = stages[stages.length - 1];
  const failed = sum(stages, 'failed');
  const tiles = [
    ['finished', formatCount(last.finished)],
    ['failed', formatCount(failed), failed > 0],
    ['in work', formatCount(sum(stages, 'in_work'))],
    ['items a second', formatRate(run.rate)],
    ['retried', formatCount(sum(stages, 'retried'))],
  ];
  const dropped = sum(stages, 'dropped') + sum(stages, 'overflowed');
  if (dropped) tiles.push(['dropped', formatCount(dropped)]);
  const cancelled = sum(stages, 'cancelled');
  if (cancelled) tiles.push(['cancelled', formatCount(cancelled)]);
  const used = new Map();
  for (const [name, amount] of stages.flatMap((stage) => stage.usage)) {
    used.set(name, amount === null || used.get(name) === null ? null : (used.get(name) ?? 0) + amount);
  }
  for (const [name, amount] of used) tiles.push([name, formatAmount(amount)]);
  return tiles;
}

class Diagram {
  constructor() {
    this.element = make('div', {class: 'diagram'});
    this.arrows = [];
    this.shown = '';
  }

  update(parts, stages) {
    const shape = JSON.stringify(parts);
    if (shape !== this.shown) this.build(parts);
    this.shown = shape;
    const begun = stages[0].finished + stages[0].failed + stages[0].dropped + stages[0].cancelled + stages[0].in_work;
    const counts = [begun, ...stages.map((stage) => stage.finished)];
    this.arrows.forEach((arrow, at) => {
      const isLast = at === this.arrows.length - 1;
      const known = this.arrows.length === counts.length || at === 0 || isLast;
      const count = isLast ? counts[counts.length - 1] : counts[at];
      setText(arrow, known ? formatCount(count) : '');
    });
  }

  build(parts) {
    this.arrows = [];
    this.element.replaceChildren(this.addArrow());
    for (const part of parts) {
      const boxes = make('div', {class: 'boxes diagram'});
      part.boxes.forEach((box, at) => {
        if (at && !part.choice) boxes.append(this.addArrow());
        boxes.append(make('div', {class: 'box'}, make('b', {}, box.name), make('span', {class: 'small soft'}, box.about)));
      });
      const kind = `part${part.caption ? ' framed' : ''}${part.choice ? ' choice' : ''}`;
      const caption = part.caption ? [make('p', {class: 'small soft'}, part.caption)] : [];
      this.element.append(make('div', {class: kind}, ...caption, boxes), this.addArrow());
    }
  }

  addArrow() {
    const count = make('b');
    this.arrows.push(count);
    return make('div', {class: 'arrow'}, '↓ ', count);
  }
}

class RunView {
  constructor(run) {
    this.name = make('h4');
    this.state = make('span', {class: 'state'});
    this.progress = make('span', {class: 'small'});
    this.times = make('span', {class: 'times'});
    this.done = make('i');
    this.failed = make('i', {class: 'failed'});
    this.bar = make('div', {class: 'bar', role: 'progressbar', 'aria-valuemin': '0'}, this.done, this.failed);
    const head = make('summary', {}, this.name, this.state, this.progress, this.times, this.bar);
    this.buttons = new Buttons(run.number);
    const tiles = make('dl', {class: 'tiles'});
    const stages = make('section', {}, make('h3', {}, 'Stages'));
    const list = make('div');
    stages.append(list);
    this.chart = new ThroughputChart();
    const throughput = make('section', {}, make('h3', {}, 'Items a second'), this.chart.element);
    const failures = make('ul', {class: 'failures', tabindex: '0', 'aria-label': 'latest failures'});
    this.failures = make('section', {}, make('h3', {}, 'Latest failures'), failures);
    this.diagram = new Diagram();
    const diagram = make('section', {}, make('h3', {}, 'Pipeline'), this.diagram.element);
    const left = make('div', {}, stages, this.failures);
    const right = make('div', {}, throughput, diagram);
    const body = make('div', {class: 'body'}, this.buttons.element, tiles, make('div', {class: 'columns'}, left, right));
    this.element = make('details', {class: 'run', 'data-run': run.number}, head, body);
    this.tiles = new Views(tiles, () => new TileView());
    this.stages = new Views(list, () => new StageView());
    this.failureViews = new Views(failures, () => new FailureView());
    this.isNew = true;
  }

  update({run, parts, control, first}) {
    if (this.isNew) this.element.open = first;
    this.isNew = false;
    setText(this.name, `Run ${run.number}`);
    setText(this.state, run.state);
    setAttribute(this.state, 'data-state', run.state);
    setText(this.times, describeTimes(run));
    this.updateProgress(run);
    this.buttons.update(run, control);
    if (!this.element.open) return;
    this.tiles.update(listTiles(run), (tile) => tile[0]);
    this.stages.update(run.stages);
    this.chart.update(run.history, run.rate);
    this.diagram.update(parts, run.stages);
    setHidden(this.failures, run.failures.length === 0);
    this.failureViews.update(run.failures);
  }

  updateProgress(run) {
    const known = run.total !== null && run.total > 0;
    const failed = Math.min(sum(run.stages, 'failed'), run.done);
    setText(this.progress, known ? `${formatCount(run.done)} of ${formatCount(run.total)}` : formatCount(run.done));
    this.bar.classList.toggle('unknown', !known);
    if (!known) return;
    setAttribute(this.bar, 'aria-valuemax', String(run.total));
    setAttribute(this.bar, 'aria-valuenow', String(run.done));
    setAttribute(this.bar, 'aria-label', `progress of run ${run.number}`);
    this.done.style.width = `${((run.done - failed) / run.total) * 100}%`;
    this.failed.style.width = `${(failed / run.total) * 100}%`;
  }
}

function describeTimes(run) {
  const took = formatSeconds(run.seconds);
  return run.eta === null ? took : `${took} · about ${formatSeconds(run.eta)} left`;
}
