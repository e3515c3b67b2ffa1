// The page: the boards with their gauges and runs, the buttons, and the connection to the server.

class Buttons {
  constructor(number) {
    this.number = number;
    this.drain = make('button', {type: 'button'}, 'Drain');
    this.cancel = make('button', {type: 'button', class: 'danger'}, 'Cancel');
    this.words = make('span', {class: 'small soft', role: 'status'});
    this.element = make('p', {class: 'buttons'}, this.drain, this.cancel, this.words);
    this.drain.title = 'start nothing more, and finish what is at work';
    this.cancel.title = 'cancel what is at work';
    this.drain.addEventListener('click', () => this.send('drain'));
    this.cancel.addEventListener('click', () => this.confirm());
  }

  confirm() {
    if (this.timer) {
      this.relax();
      this.send('cancel');
      return;
    }
    setText(this.cancel, 'Really cancel?');
    this.cancel.classList.add('sure');
    this.timer = setTimeout(() => this.relax(), 5000);
  }

  relax() {
    clearTimeout(this.timer);
    this.timer = null;
    setText(this.cancel, 'Cancel');
    this.cancel.classList.remove('sure');
  }

  async send(action) {
    try {
      const answer = await fetch(`runs/${this.number}/${action}${location.search}`, {method: 'POST'});
      setText(this.words, await answer.text());
    } catch (error) {
      setText(this.words, 'the server cannot be reached');
    }
  }

  update(run, control) {
    const isAtWork = run.state === 'running' || run.state === 'draining';
    setHidden(this.element, !(control && isAtWork && run.controlled));
    this.drain.disabled = run.state === 'draining';
  }
}

class GaugeView {
  constructor() {
    this.kind = make('span', {class: 'small soft'});
    this.state = make('b');
    this.waiting = make('span', {class: 'small'});
    this.error = make('div', {class: 'small error'});
    this.level = make('i');
    this.bar = make('div', {class: 'bar'}, this.level);
    const first = make('div', {}, this.kind);
    const second = make('div', {}, this.state, ' ', this.waiting);
    this.element = make('li', {class: 'gauge'}, first, second, this.bar, this.error);
  }

  update(gauge) {
    setText(this.kind, gauge.nodes.length ? `${gauge.kind} of ${gauge.nodes.join(', ')}` : gauge.kind);
    setText(this.state, gauge.state);
    setAttribute(this.element, 'data-state', gauge.state);
    setText(this.waiting, gauge.waiting ? `· ${formatCount(gauge.waiting)} waiting` : '');
    this.bar.classList.toggle('unknown', !gauge.size);
    if (gauge.size) this.level.style.width = `${Math.min(gauge.level / gauge.size, 1) * 100}%`;
    setText(this.error, gauge.error ?? '');
    setHidden(this.error, !gauge.error);
  }
}

class BoardView {
  constructor() {
    this.name = make('h2');
    this.more = make('span', {class: 'small soft'});
    const gauges = make('ul', {class: 'gauges', 'aria-label': 'limits, budgets and circuits'});
    const runs = make('div');
    this.empty = make('p', {class: 'empty'}, 'No run has begun yet. This page follows the next one.');
    this.element = make('section', {class: 'board'}, make('header', {}, this.name, this.more), gauges, runs, this.empty);
    this.gauges = new Views(gauges, () => new GaugeView());
    this.runs = new Views(runs, ({run}) => new RunView(run));
  }

  update({board, control}) {
    setText(this.name, board.name);
    const runs = listRuns(board);
    setText(this.more, board.more ? `and ${formatCount(board.more)} more runs at work` : '');
    this.gauges.update(board.gauges);
    const isFollowed = (run, index) => index === 0 || run.state === 'running';
    const values = runs.map((run, index) => ({
      run, control, parts: board.parts, first: isFollowed(run, index),
    }));
    this.runs.update(values, ({run}) => run.number);
    setHidden(this.empty, runs.length > 0);
  }
}

const boards = new Views(document.getElementById('boards'), () => new BoardView());

// Runs that have ended are sent once; later snapshots only name them.
const ended = new Map();

function listRuns(board) {
  return [...board.running, ...board.ended.map((number) => ended.get(number)).filter(Boolean)];
}

function forgetRuns(snapshot) {
  const kept = new Set(snapshot.boards.flatMap((board) => board.ended));
  for (const number of ended.keys()) if (!kept.has(number)) ended.delete(number);
}

function show(snapshot) {
  forgetRuns(snapshot);
  setText(document.getElementById('name'), snapshot.name);
  if (document.title !== snapshot.name) document.title = snapshot.name;
  boards.update(snapshot.boards.map((board) => ({board, control: snapshot.control})));
}

const connection = document.getElementById('connection');
let lost = null;

function setConnection(state, words) {
  clearTimeout(lost);
  lost = null;
  setAttribute(connection, 'data-state', state);
  setText(connection, words);
}

// The server ends a stream now and then, and the browser opens the next one by itself.
function noteError(source) {
  if (source.readyState === EventSource.CLOSED) {
    setTimeout(connect, 2000);
  }
  lost ??= setTimeout(() => setConnection('lost', 'connection lost'), 3000);
}

function connect() {
  const source = new EventSource(`events${location.search}`);
  source.addEventListener('message', (event) => {
    setConnection('live', 'live');
    show(JSON.parse(event.data));
  });
  source.addEventListener('ended', (event) => {
    const run = JSON.parse(event.data);
    ended.set(run.number, run);
  });
  source.addEventListener('error', () => noteError(source));
}

connect();
