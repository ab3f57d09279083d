
'use strict';
// The page: polls /stats for what is, follows /events for what happens. Everything that comes from the server reaches
// the document as textContent. Nodes are made once for each thing and then updated, so that focus, selection and
// screen readers stay where they are.

const $ = (id) => document.getElementById(id);
const kPollMs = 2000, kPollBusyMs = 500, kEventsKept = 500, kSamples = 60;
const kSteps = ['decide', 'fence', 'choose', 'restore', 'verify', 'start', 'warm', 'protect'];
const kTone = {
  up: 'good', free: 'good', done: 'good', serving: 'good', degraded: 'warn', suspect: 'warn', draining: 'warn', maintenance: 'warn',
  dirty: 'warn', cancelled: 'warn', held: 'warn', down: 'bad', lost: 'bad', failed: 'bad', quarantined: 'bad', restoring: 'info',
  warming: 'info', starting: 'info', claimed: 'info', in_use: 'idle',
};
// Approval cannot end these waits; the proxy would refuse it.
const kBeyondApproval = ['held(paused)', 'held(maintenance)', 'held(no_spare)', 'held(repository)', 'held(journal)'];
const kKindTone = {health: 'info', recovery: 'warn', backup: 'good', admin: 'idle', service: 'info', reload: 'idle', audit: 'warn', alarm: 'bad'};

function el(tag, attributes, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (name === 'class') node.className = value;
    else if (name.startsWith('on')) node.addEventListener(name.slice(2), value);
    else if (value !== undefined && value !== false) node.setAttribute(name, value === true ? '' : value);
  }
  node.append(...children.filter((c) => c !== null && c !== undefined));
  return node;
}
function setText(node, text) { if (node.textContent !== text) node.textContent = text; }
function setPill(node, state, text) {
  const wanted = 'pill ' + (kTone[state] || 'idle');
  if (node.className !== wanted) node.className = wanted;
  setText(node, text || String(state).replace('_', ' '));
}

function seconds(s) {
  if (s === null || s === undefined || !isFinite(s)) return '\u2013';
  if (s < 0) s = 0;
  if (s === 0) return '0 s';
  if (s < 0.001) return '< 1 ms';
  if (s < 1) return Math.round(s * 1000) + ' ms';
  if (s < 10) return s.toFixed(1) + ' s';
  if (s < 60) return Math.round(s) + ' s';
  if (s < 3600) return Math.floor(s / 60) + ' min ' + Math.floor(s % 60) + ' s';
  if (s < 86400) return Math.floor(s / 3600) + ' h ' + Math.floor(s / 60 % 60) + ' min';
  return Math.floor(s / 86400) + ' d ' + Math.floor(s / 3600 % 24) + ' h';
}
function bytes(n) {
  if (n === null || n === undefined) return '\u2013';
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];
  let i = 0;
  while (n >= 1024 && i < units.length - 1) { n /= 1024; i++; }
  return (i === 0 || n >= 100 ? Math.round(n) : n.toFixed(1)) + ' ' + units[i];
}
function count(n) { return Number(n || 0).toLocaleString('en'); }
function many(n, one, several) { return count(n) + ' ' + (Number(n) === 1 ? one : several || one + 's'); }
// The beginning of a 64-digit id says which one; the whole is in the title, and wherever one can be typed in.
function shortId(id) { return /^[0-9a-f]{20,}$/.test(id) ? id.slice(0, 12) : id; }
function shortIds(text) { return text.replace(/\b[0-9a-f]{40,}\b/g, shortId); }
function ms(n) { return n > 0 ? seconds(n / 1000) : '\u2013'; }
// The server's clock, not the browser's, decides how old something is.
let clockOffset = 0;
function age(time) { return (Date.now() + clockOffset - Date.parse(time)) / 1000; }
function ago(time) { return time ? seconds(age(time)) + ' ago' : 'never'; }
function clock(time) {
  const t = new Date(time);
  return isNaN(t) ? '' : t.toLocaleTimeString('en-GB') + '.' + String(Math.floor(t.getMilliseconds() / 100));
}

let token = sessionStorage.getItem('regrow-token') || '';
function headers() {
  const h = {'X-Regrow-Request': '1', 'X-Regrow-Actor': 'page'};
  if (token) h.Authorization = 'Bearer ' + token;
  return h;
}
let askingToken = null;
function askToken(why) {
  if (askingToken) return askingToken;
  askingToken = new Promise((resolve) => {
    const dialog = $('token-dialog');
    if (why) setText($('token-why'), why);
    $('token').value = '';
    const finish = (value) => {
      if (dialog.open) dialog.close();
      askingToken = null;
      if (value !== null) { token = value; sessionStorage.setItem('regrow-token', token); }
      resolve(value !== null);
    };
    $('token-form').onsubmit = (e) => { e.preventDefault(); finish($('token').value.trim()); };
    $('token-cancel').onclick = () => finish(null);
    dialog.oncancel = () => finish(null);
    dialog.showModal();
    $('token').focus();
  });
  return askingToken;
}
function confirmAction(title, text, button) {
  return new Promise((resolve) => {
    const dialog = $('confirm-dialog');
    setText($('confirm-title'), title);
    setText($('confirm-text'), text);
    setText($('confirm-ok'), button);
    const finish = (yes) => { if (dialog.open) dialog.close(); resolve(yes); };
    $('confirm-form').onsubmit = (e) => { e.preventDefault(); finish(true); };
    $('confirm-cancel').onclick = () => finish(false);
    dialog.oncancel = () => finish(false);
    dialog.showModal();
    $('confirm-cancel').focus();
  });
}
function toast(text, failed) {
  const node = el('div', {class: failed ? 'toast failed' : 'toast'});
  node.textContent = text;
  $('toasts').append(node);
  setTimeout(() => node.remove(), failed ? 9000 : 5000);
}
async function post(path, asked) {
  try {
    const response = await fetch(path, {method: 'POST', headers: headers()});
    const answer = await response.json().catch(() => ({}));
    if (response.status === 401 && !asked) return await askToken(answer.error) ? post(path, true) : undefined;
    toast(answer.message || answer.error || 'HTTP ' + response.status, !response.ok);
  } catch (error) {
    toast('The proxy did not answer: ' + error.message, true);
  }
  poll();
}
const kQuestions = {
  recover: ['Recover', 'Fences its server and restores its newest proven snapshot onto a spare. What it took in since that snapshot is lost unless its disk still answers.', 'Recover'],
  drain: ['Drain', 'Gets no new requests; those under way are finished. Undo with Undrain.', 'Drain'],
  maintenance: ['Maintenance for', 'Its checks may fail and nothing is recovered until Undrain.', 'Start maintenance'],
  release: ['Release', 'Becomes a spare again. The data on it may be overwritten by the next recovery.', 'Release'],
  cancel: ['Cancel recovery', 'The backend stays without a server until it is recovered again.', 'Cancel recovery'],
};
async function act(path, verb, name) {
  const question = kQuestions[verb];
  if (question && !await confirmAction(question[0] + ' ' + name + '?', question[1], question[2])) return;
  await post(path);
}
function backendPath(pool, name, verb) {
  return '/api/pools/' + encodeURIComponent(pool) + '/backends/' + encodeURIComponent(name) + '/' + verb;
}
function button(text, onclick, cls, label) {
  const b = el('button', {type: 'button', class: cls, 'aria-label': label, onclick});
  b.textContent = text;
  return b;
}

function sync(parent, views, items, keyOf, make, update) {
  const seen = new Set();
  items.forEach((item, i) => {
    const key = keyOf(item);
    seen.add(key);
    let view = views.get(key);
    if (!view) { view = make(item); views.set(key, view); }
    if (parent.children[i] !== view.node) parent.insertBefore(view.node, parent.children[i] || null);
    update(view, item);
  });
  for (const [key, view] of views) if (!seen.has(key)) { view.node.remove(); views.delete(key); }
}
function pairList(cls, names) {
  const values = {}, rows = {};
  const node = el('dl', {class: cls});
  for (const name of names) {
    const dt = el('dt');
    dt.textContent = name;
    values[name] = el('dd');
    rows[name] = el('div', {}, dt, values[name]);
    node.append(rows[name]);
  }
  return {node, values, rows};
}

function makeBackend(pool) {
  const v = {
    state: el('span', {class: 'pill'}), name: el('div', {class: 'name'}), where: el('div', {class: 'sub mono'}),
    reason: el('div'), since: el('div', {class: 'sub'}), check: el('div', {class: 'sub'}),
    latency: el('td', {class: 'number', 'data-label': 'p50 / p99'}), inFlight: el('td', {class: 'number', 'data-label': 'in flight'}),
    requests: el('td', {class: 'number', 'data-label': 'requests'}), errors: el('td', {class: 'number', 'data-label': 'errors'}),
  };
  const doing = (verb) => () => act(backendPath(pool, v.id, verb), verb, pool + '/' + v.id);
  v.drain = button('Drain', doing('drain'));
  v.undrain = button('Undrain', doing('undrain'));
  v.backup = button('Back up', doing('backup'));
  v.recover = button('Recover\u2026', doing('recover'));
  v.why = button('Why?', () => { setFilter(pool + '/' + v.id); $('events-title').scrollIntoView({block: 'start'}); }, 'quiet');
  v.node = el('tr', {},
    el('td', {class: 'wide'}, v.name, v.where),
    el('td', {class: 'wide state'}, v.state, v.since),
    el('td', {class: 'wide'}, v.reason, v.check), v.latency, v.inFlight, v.requests, v.errors,
    el('td', {class: 'wide'}, el('div', {class: 'row-actions'}, v.why, v.backup, v.drain, v.undrain, v.recover)));
  return v;
}
function updateBackend(v, b, hasBackup) {
  v.id = b.name;
  setText(v.name, b.name);
  const server = b.server && b.server !== b.name ? b.server : '';
  setText(v.where, [server, b.address || (b.server ? '' : 'no server'), b.epoch > 1 ? 'epoch ' + b.epoch : ''].filter(Boolean).join(' \u00b7 '));
  setPill(v.state, b.state);
  setText(v.since, 'for ' + seconds(age(b.since)));
  setText(v.reason, b.reason || '');
  const c = b.check || {};
  setText(v.check, c.last ? 'check: ' + c.result + ' in ' + ms(c.took_ms) + (c.fall ? ', ' + c.fall + ' bad in a row' : '') : 'not checked yet');
  setText(v.latency, ms(b.latency_ms.p50) + ' / ' + ms(b.latency_ms.p99));
  setText(v.inFlight, count(b.in_flight));
  setText(v.requests, count(b.requests));
  setText(v.errors, count(b.errors));
  const drained = b.state === 'draining' || b.state === 'maintenance';
  v.drain.hidden = drained;
  v.undrain.hidden = !drained;
  v.backup.hidden = v.recover.hidden = !hasBackup;
  for (const name of ['drain', 'undrain', 'backup', 'recover', 'why'])
    v[name].setAttribute('aria-label', v[name].textContent.replace('\u2026', '').replace('?', '') + ' ' + b.name);
}

function makePool(name) {
  const v = {
    backends: new Map(), spares: new Map(), samples: [], state: el('span', {class: 'pill'}),
    numbers: pairList('numbers', ['req/s', 'requests', 'errors', 'retries', 'held']), body: el('tbody'),
    spareList: el('ul', {class: 'chips'}), tiles: pairList('tiles', ['Newest data (RPO)', 'Recovery takes (RTO)', 'Snapshots', 'Last recovery']),
    backupNote: el('div', {class: 'sub'}), noSpares: el('p', {class: 'empty'}),
  };
  setText(v.noSpares, 'No spare: a dead backend could not be replaced.');
  v.line = document.createElementNS('http://www.w3.org/2000/svg', 'path');
  const spark = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  spark.setAttribute('class', 'spark');
  spark.setAttribute('viewBox', '0 0 100 24');
  spark.setAttribute('preserveAspectRatio', 'none');
  spark.setAttribute('aria-hidden', 'true');
  spark.append(v.line);
  const title = el('h2');
  title.textContent = name;
  const head = el('tr');
  for (const [text, cls] of [['Backend'], ['State'], ['Why'], ['p50 / p99', 'number'], ['In flight', 'number'], ['Requests', 'number'], ['Errors', 'number'], ['']]) {
    const th = el('th', {class: cls, scope: 'col'});
    th.textContent = text;
    if (!text) th.setAttribute('aria-label', 'Actions');
    head.append(th);
  }
  const heading = (text) => { const h = el('h3'); h.textContent = text; return h; };
  v.backupPart = el('div', {}, heading('Backup'), v.tiles.node, v.backupNote);
  v.sparePart = el('div', {}, heading('Spares'), v.spareList, v.noSpares);
  v.under = el('div', {class: 'under'}, v.backupPart, v.sparePart);
  v.node = el('section', {class: 'card', 'aria-label': 'Pool ' + name},
    el('div', {class: 'card-head'}, el('div', {class: 'pool-title'}, title, v.state), spark, v.numbers.node),
    el('table', {class: 'backends'}, el('thead', {}, head), v.body),
    v.under);
  return v;
}
function rate(v, pool, now) {
  const last = v.last;
  v.last = {requests: pool.requests, at: now};
  if (!last || now <= last.at || pool.requests < last.requests) return v.rate || 0;
  v.rate = (pool.requests - last.requests) * 1000 / (now - last.at);
  v.samples.push(v.rate);
  if (v.samples.length > kSamples) v.samples.shift();
  const top = Math.max(1, ...v.samples), n = v.samples.length;
  v.line.setAttribute('d', v.samples.map((s, i) => (i ? 'L' : 'M') + (n > 1 ? i * 100 / (n - 1) : 0).toFixed(1) + ' ' + (22 - 20 * s / top).toFixed(1)).join(''));
  return v.rate;
}
function makeSpare(pool) {
  const v = {name: el('span', {class: 'name'}), where: el('span', {class: 'sub mono'}), state: el('span', {class: 'pill'}), reason: el('span', {class: 'sub'})};
  v.release = button('Release', () => act(backendPath(pool, v.id, 'release'), 'release', v.id));
  v.node = el('li', {}, v.name, v.where, v.state, v.reason, v.release);
  return v;
}
function updateSpare(v, s) {
  v.id = s.name;
  setText(v.name, s.name);
  setText(v.where, s.address);
  setPill(v.state, s.state);
  setText(v.reason, s.reason || '');
  v.release.hidden = !['quarantined', 'dirty', 'lost'].includes(s.state);
}
function updateBackup(v, pool) {
  const b = pool.backup, t = v.tiles.values;
  v.backupPart.hidden = !b;
  if (!b) return;
  setText(t['Newest data (RPO)'], b.rpo_s === null ? '\u2013' : seconds(b.rpo_s) + ' old');
  setText(t['Recovery takes (RTO)'], b.rto_estimate_s === null ? 'not measured' : '\u2248 ' + seconds(b.rto_estimate_s));
  setText(t['Snapshots'], count(b.snapshots));
  const past = pool.recoveries[pool.recoveries.length - 1];
  setText(t['Last recovery'], past ? seconds(past.down_s) + ' down' : 'none');
  const l = b.latest;
  setText(v.backupNote, b.last_error ? 'The last capture failed: ' + b.last_error
    : l ? 'Newest: ' + shortId(l.id) + ', ' + l.type + ', ' + bytes(l.bytes) + ', ' + ago(l.time) + (l.incomplete ? ', incomplete' : '') + (l.suspicious ? ', held back: most files had vanished' : '') + (l.verified ? ', proven' : ', not proven yet') : 'No snapshot yet.');
  v.backupNote.title = l ? l.id : '';
  v.backupNote.style.color = b.last_error ? 'var(--bad)' : '';
  v.tiles.rows['Newest data (RPO)'].style.color = b.rpo_s === null ? 'var(--bad)' : '';
}
function updatePool(v, name, pool, now) {
  setPill(v.state, pool.state);
  const n = v.numbers;
  setText(n.values['req/s'], rate(v, pool, now).toFixed(v.rate < 10 ? 1 : 0));
  setText(n.values.requests, count(pool.requests));
  setText(n.values.errors, count(pool.errors));
  setText(n.values.retries, count(pool.retries));
  setText(n.values.held, count(pool.held));
  n.rows.held.classList.toggle('alarm', pool.held > 0);
  sync(v.body, v.backends, pool.backends, (b) => b.name, () => makeBackend(name), (row, b) => updateBackend(row, b, !!pool.backup));
  sync(v.spareList, v.spares, pool.spares, (s) => s.name, () => makeSpare(name), updateSpare);
  v.noSpares.hidden = pool.spares.length > 0;
  v.sparePart.hidden = !pool.backup && pool.spares.length === 0;
  v.under.hidden = v.sparePart.hidden && !pool.backup;
  updateBackup(v, pool);
}

function makeRecovery(r) {
  const v = {title: el('h2'), steps: el('ol', {class: 'steps'}), bar: el('progress', {max: '1'}), line: el('div', {class: 'recovery-line'}), reason: el('p', {class: 'empty'}), stepNodes: {}};
  for (const step of kSteps) {
    v.stepNodes[step] = el('li');
    setText(v.stepNodes[step], step);
    v.steps.append(v.stepNodes[step]);
  }
  v.approve = button('Approve', () => post('/api/recoveries/' + encodeURIComponent(r.id) + '/approve'), 'primary');
  v.cancel = button('Cancel\u2026', () => act('/api/recoveries/' + encodeURIComponent(r.id) + '/cancel', 'cancel', r.id));
  v.parts = ['from', 'spare', 'restored', 'since'].map(() => el('span'));
  v.line.append(...v.parts);
  v.node = el('section', {class: 'card recovery'}, el('div', {class: 'card-head'}, v.title, v.approve, v.cancel), v.steps, v.bar, v.line, v.reason);
  return v;
}
function updateRecovery(v, r) {
  const held = r.state.startsWith('held'), suspect = r.state === 'suspect';
  v.node.classList.toggle('held', held);
  setText(v.title, (held ? 'Recovery waits: ' : suspect ? 'Suspect: ' : 'Regrowing ') + r.pool + '/' + r.backend);
  if (kSteps.includes(r.state)) v.at = kSteps.indexOf(r.state);
  const at = v.at === undefined ? (r.progress > 0 ? kSteps.indexOf('restore') : 0) : v.at;
  kSteps.forEach((step, i) => {
    const cls = r.state === 'done' || i < at ? 'done' : i === at && !suspect ? 'now' : '';
    if (v.stepNodes[step].className !== cls) v.stepNodes[step].className = cls;
    if (i === at && !suspect) v.stepNodes[step].setAttribute('aria-current', 'step');
    else v.stepNodes[step].removeAttribute('aria-current');
  });
  v.bar.hidden = at < kSteps.indexOf('restore');
  v.bar.value = Math.min(1, r.progress || 0);
  v.bar.setAttribute('aria-label', 'Restored ' + Math.round((r.progress || 0) * 100) + ' percent');
  setText(v.parts[0], r.snapshot ? 'from snapshot ' + shortId(r.snapshot) : 'no snapshot chosen yet');
  v.parts[0].title = r.snapshot || '';
  setText(v.parts[1], r.spare ? 'onto ' + r.spare : '');
  setText(v.parts[2], r.restored_bytes > 0 ? bytes(r.restored_bytes) + ' restored (' + Math.round((r.progress || 0) * 100) + '%)' : '');
  setText(v.parts[3], r.state + ' for ' + seconds(age(r.since)));
  setText(v.reason, shortIds(r.reason || ''));
  v.reason.hidden = !r.reason;
  v.approve.hidden = !held || kBeyondApproval.includes(r.state);
}
function makePast(r) {
  const summary = el('summary'), result = el('span', {class: 'pill'}), name = el('span', {class: 'name'}), sub = el('span', {class: 'sub'}), bars = el('div', {class: 'step-bars'});
  setPill(result, r.result);
  setText(name, r.pool + '/' + r.backend);
  const loss = r.lost_s === null ? 'loss unknown' : r.lost_s === 0 ? 'nothing lost' : seconds(r.lost_s) + ' of changes lost';
  setText(sub, r.from + ' \u2192 ' + (r.to || '?') + ' \u00b7 ' + seconds(r.down_s) + ' down \u00b7 ' + loss + (r.restored_bytes ? ' \u00b7 ' + bytes(r.restored_bytes) : ''));
  summary.append(result, name, el('span', {class: 'sub'}, clock(r.started)), sub);
  const longest = Math.max(1, ...r.steps.map((s) => s.took_ms));
  for (const s of r.steps) {
    const label = el('span'), bar = el('div', {class: 'bar'}), took = el('span', {class: 'number'});
    setText(label, s.step);
    setText(took, seconds(s.took_ms / 1000));
    bar.style.width = Math.max(1, 100 * s.took_ms / longest) + '%';
    bars.append(label, bar, took);
  }
  const details = el('details', {class: 'past'}, summary, bars);
  if (r.snapshot) { const note = el('div', {class: 'sub'}); setText(note, 'snapshot ' + shortId(r.snapshot) + ', recovery ' + r.id + (r.detected_ms ? ', detected after ' + seconds(r.detected_ms / 1000) : '')); note.title = r.snapshot; details.append(note); }
  return {node: details};
}

let eventsSeen = 0;
const eventViews = [];
function eventKey(e) { return e.pool + (e.backend ? '/' + e.backend : ''); }
function matches(key, filter) { return !filter || key === filter || key.startsWith(filter + '/') || (filter.startsWith(key + '/') && key !== ''); }
function setFilter(value) { $('event-filter').value = value; applyFilter(); }
function applyFilter() { for (const v of eventViews) v.node.hidden = !matches(v.key, $('event-filter').value); }
function updateFilterChoices(stats) {
  const wanted = [''];
  for (const [name, pool] of Object.entries(stats.pools)) { wanted.push(name); for (const b of pool.backends) wanted.push(name + '/' + b.name); }
  const select = $('event-filter');
  if (wanted.join('\n') === [...select.options].map((o) => o.value).join('\n')) return;
  const kept = select.value;
  select.replaceChildren(...wanted.map((w) => { const o = el('option', {value: w}); o.textContent = w || 'everything'; return o; }));
  select.value = wanted.includes(kept) ? kept : '';
  applyFilter();
}
function addEvent(e) {
  eventsSeen = e.seq;
  const time = el('time', {datetime: e.time, title: e.time}), text = el('div'), kind = el('span', {class: 'pill kind ' + (kKindTone[e.kind] || 'idle')}), what = el('span');
  setText(time, clock(e.time));
  setText(kind, e.kind);
  const key = eventKey(e);
  setText(what, (key ? key + ': ' : '') + shortIds(e.text));
  text.append(kind, what);
  const node = el('li', {}, time, text);
  const details = Object.entries(e.details || {});
  if (details.length) {
    const evidence = el('div', {class: 'evidence mono'});
    for (const [k, v] of details) { const part = el('span'); setText(part, k + ' ' + shortIds(v)); part.title = v; evidence.append(part, ' '); }
    node.append(evidence);
  }
  node.hidden = !matches(key, $('event-filter').value);
  $('events').prepend(node);
  eventViews.unshift({node, key});
  while (eventViews.length > kEventsKept) eventViews.pop().node.remove();
}
function readFrame(frame) {
  let data = '';
  for (const line of frame.split('\n')) if (line.startsWith('data:')) data += line.slice(5).trimStart();
  if (!data) return;
  const event = JSON.parse(data);
  if (event.seq < eventsSeen) { $('events').replaceChildren(); eventViews.length = 0; eventsSeen = 0; }  // the proxy started its count anew
  if (event.seq > eventsSeen) { addEvent(event); pollSoon(); }
}
// fetch rather than EventSource: that one cannot send the token.
async function follow() {
  for (let wait = 500;; wait = Math.min(wait * 2, 8000)) {
    const stop = new AbortController();
    try {
      const response = await fetch('/events', {headers: {...headers(), 'Last-Event-ID': String(eventsSeen)}, signal: stop.signal});
      if (!response.ok) throw new Error('HTTP ' + response.status);
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      let rest = '', timer = 0;
      const quiet = () => { clearTimeout(timer); timer = setTimeout(() => stop.abort(), 45000); };
      for (quiet();;) {
        const {done, value} = await reader.read();
        if (done) break;
        quiet();
        wait = 500;
        const frames = (rest + value).split('\n\n');
        rest = frames.pop();
        frames.forEach(readFrame);
      }
      clearTimeout(timer);
    } catch (error) { /* shown by the poll, which fails as well */ }
    await new Promise((resolve) => setTimeout(resolve, wait));
  }
}

const pools = new Map(), nowViews = new Map(), pastViews = new Map();
const facts = pairList('facts', ['Up', 'Workers', 'Configuration', 'Version']);
$('facts').replaceWith(facts.node);
let lastStats = null;

function overall(stats) {
  const states = Object.values(stats.pools).map((p) => p.state);
  if (stats.draining) return ['draining', 'stopping'];
  if (states.includes('down')) return ['down', 'a pool is down'];
  if (Object.values(stats.pools).some((p) => p.recovery)) return ['restoring', 'recovering'];
  if (states.includes('degraded')) return ['degraded', 'degraded'];
  return stats.paused ? ['maintenance', 'recoveries paused'] : ['up', 'all up'];
}
function render(stats) {
  const now = performance.now();
  clockOffset = Date.parse(stats.time) - Date.now();
  setPill($('overall'), ...overall(stats));
  document.title = (overall(stats)[1] === 'all up' ? '' : '\u25cf ' + overall(stats)[1] + ' \u2013 ') + 'Regrow';
  setText(facts.values.Up, seconds(stats.uptime_s));
  setText(facts.values.Workers, count(stats.workers));
  setText(facts.values.Configuration, '#' + stats.generation);
  setText(facts.values.Version, stats.version);
  $('pause').hidden = false;
  setText($('pause'), stats.paused ? 'Resume recoveries' : 'Pause recoveries');
  const named = Object.entries(stats.pools);
  sync($('pools'), pools, named, ([name]) => name, ([name]) => makePool(name), (v, [name, pool]) => updatePool(v, name, pool, now));
  const active = named.flatMap(([pool, p]) => p.active_recoveries.map((r) => ({...r, pool})));
  sync($('recoveries-now'), nowViews, active, (r) => r.id, makeRecovery, updateRecovery);
  const past = named.flatMap(([pool, p]) => p.recoveries.map((r) => ({...r, pool}))).sort((a, b) => a.started < b.started ? 1 : -1).slice(0, 20);
  if (past.length || !lastStats) {
    if (past.length && !pastViews.size) $('past').replaceChildren();
    sync($('past'), pastViews, past, (r) => r.pool + r.id, makePast, () => {});
    if (!past.length) { const p = el('p', {class: 'empty'}); setText(p, 'None so far.'); $('past').replaceChildren(p); }
  }
  renderLists(stats);
  updateFilterChoices(stats);
  lastStats = stats;
}
function listItem(name, state, label, sub) {
  const title = el('span', {class: 'name mono'}), pill = el('span'), note = el('span', {class: 'sub'});
  setText(title, name);
  setPill(pill, state, label);
  setText(note, sub);
  return el('li', {}, title, label ? pill : null, note);
}
function renderLists(stats) {
  const repositories = Object.entries(stats.repositories).map(([name, r]) => listItem(name, r.reachable ? 'up' : 'down',
    r.reachable ? 'reachable' : 'unreachable', r.error || many(r.snapshots, 'snapshot') + ', ' + bytes(r.bytes) + ', ' + bytes(r.free_bytes) + ' free'));
  $('repositories').replaceChildren(...(repositories.length ? repositories : [listItem('none', 'idle', '', 'Nothing is backed up.')]));
  $('listeners').replaceChildren(...stats.listeners.map((l) => listItem(l.listen, 'idle', l.tls ? 'TLS' : '',
    many(l.requests, 'request') + ' on ' + many(l.connections, 'connection') + ', ' + count(l.open) + ' open' + (l.bad_requests ? ', ' + count(l.bad_requests) + ' refused' : ''))));
}
function notice(text) { setText($('notice'), text); $('notice').hidden = !text; }

let pollTimer = 0, polling = false;
async function poll() {
  if (polling) return;
  polling = true;
  clearTimeout(pollTimer);
  let wait = kPollMs;
  try {
    const response = await fetch('/stats', {headers: headers(), signal: AbortSignal.timeout(8000)});
    if (response.status === 401) { const answer = await response.json(); notice('This endpoint needs the admin token.'); polling = false; if (await askToken(answer.error)) return poll(); throw new Error('no token'); }
    if (!response.ok) throw new Error('HTTP ' + response.status);
    render(await response.json());
    notice('');
    if (nowViews.size) wait = kPollBusyMs;
  } catch (error) {
    setPill($('overall'), 'down', 'no answer');
    notice('The proxy does not answer (' + error.message + '). What you see is the last known state; trying again.');
  }
  polling = false;
  pollTimer = setTimeout(poll, document.hidden ? 10000 : wait);
}
function pollSoon() { if (!polling) { clearTimeout(pollTimer); pollTimer = setTimeout(poll, 80); } }

$('event-filter').addEventListener('change', applyFilter);
$('pause').addEventListener('click', () => post(lastStats && lastStats.paused ? '/api/resume' : '/api/pause'));
$('token-button').addEventListener('click', () => askToken().then((given) => { if (given) poll(); }));
document.addEventListener('visibilitychange', () => { if (!document.hidden) poll(); });
poll().then(follow);
