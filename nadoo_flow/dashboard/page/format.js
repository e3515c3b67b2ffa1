// Numbers and times as people read them.

const whole = new Intl.NumberFormat('en-US', {maximumFractionDigits: 0});
const precise = new Intl.NumberFormat('en-US', {maximumSignificantDigits: 4});
const compact = new Intl.NumberFormat('en-US', {notation: 'compact', maximumSignificantDigits: 3});

function formatCount(number) {
  return whole.format(number);
}

function formatAmount(number) {
  if (number === null) return 'too much to say';
  if (Math.abs(number) >= 1e12) return compact.format(number);
  return Number.isInteger(number) ? whole.format(number) : precise.format(number);
}

function formatRate(number) {
  return number >= 1000 ? compact.format(number) : precise.format(Number(number.toPrecision(3)));
}

function formatSeconds(seconds) {
  if (seconds === null) return '–';
  if (seconds < 0.9995e-3) return `${(seconds * 1e6).toFixed(0)} µs`;
  if (seconds < 0.9995) return `${Number((seconds * 1e3).toPrecision(3))} ms`;
  if (seconds < 59.5) return `${seconds < 9.95 ? seconds.toFixed(1) : seconds.toFixed(0)} s`;
  const minutes = Math.floor(Math.round(seconds) / 60);
  const rest = Math.round(seconds) % 60;
  if (minutes < 60) return rest ? `${minutes} min ${rest} s` : `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h ${minutes % 60} min` : `${Math.round(hours / 24)} days`;
}

function roundUp(value) {
  if (value <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map((base) => base * power).find((step) => step >= value);
}
