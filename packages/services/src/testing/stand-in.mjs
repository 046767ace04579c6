// Stands in for docker, docker-compose and systemctl on a server's PATH: it answers as their manuals say, out of a
// file that the test writes, and records each command line. `node stand-in.mjs FILE PROGRAM ARGUMENTS...`
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';

const [file, program, ...args] = process.argv.slice(2);
const world = JSON.parse(readFileSync(file, 'utf8'));
appendFileSync(`${file}.log`, `${JSON.stringify([program, ...args])}\n`);

const say = (text) => process.stdout.write(`${text}\n`);
function end(code, text) {
  if (text) process.stderr.write(`${text}\n`);
  process.exit(code);
}
/** What it says last when nobody waits for it any more. */
function hang() {
  process.stderr.write('still at it\n');
  setInterval(() => undefined, 1000);
}

/** The state now: each question takes one step along a queue, and stays at its last. */
function stepOf(thing) {
  const [now, ...later] = thing.states;
  if (later.length > 0) {
    thing.states = later;
    save();
  }
  return now;
}
function save() {
  writeFileSync(file, JSON.stringify(world));
}

/** Carries out `stop` or `start`: `{error, code}`, `'hang'`, or the states that follow. */
function order(thing, verb) {
  const what = thing[verb];
  if (what === 'hang') {
    hang();
    return false;
  }
  if (what?.states) {
    thing.states = what.states;
    save();
  }
  if (what?.error) end(what.code ?? 1, what.error);
  return true;
}

function docker(words) {
  const [verb, ...rest] = words;
  if (verb === 'compose') {
    if (!world.plugin) end(1, "docker: 'compose' is not a docker command.\nSee 'docker --help'");
    return compose(rest, world.plugin);
  }
  if (world.down) {
    end(
      1,
      'Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?',
    );
  }
  if (world.hang) return hang();
  if (verb === 'inspect') return inspect(rest.slice(rest.indexOf('--format') + 2));
  const name = rest.at(-1);
  const container = world.containers[name];
  if (!container) {
    end(1, `Error response from daemon: No such container: ${name}`);
  }
  if (order(container, verb)) say(name);
}

function inspect(names) {
  const missing = names.filter((name) => !world.containers[name]);
  for (const name of names) {
    const container = world.containers[name];
    if (container) say(`${container.oneoff ?? ''} ${JSON.stringify(stepOf(container))}`);
  }
  if (missing.length > 0) {
    say('');
    end(1, missing.map((name) => `Error response from daemon: No such container: ${name}`).join('\n'));
  }
}

function compose(words, version) {
  const rest = [...words];
  while (rest[0] === '-f' || rest[0] === '-p') rest.splice(0, 2);
  const verb = rest[0];
  if (verb === 'version') return say(version);
  if (world.cwd && process.cwd() !== world.cwd) end(14, 'no configuration file provided: not found');
  const service = world.services[rest.at(-1)];
  if (!service) end(1, `no such service: ${rest.at(-1)}`);
  if (verb === 'ps') {
    const stopped = rest.includes('--all') || version.startsWith('1.');
    const seen = service.ids.filter((id) => stopped || world.containers[id].states[0].Status === 'running');
    return seen.length > 0 ? say(seen.join('\n')) : undefined;
  }
  if (verb === 'start' && service.ids.length === 0)
    end(1, `service "${rest.at(-1)}" has no container to start`);
  for (const id of service.ids) if (!order(world.containers[id], verb)) return;
}

const ABSENT = { LoadState: 'not-found', ActiveState: 'inactive', SubState: 'dead', Result: 'success' };

function systemctl(words) {
  if (world.down) {
    end(
      1,
      "System has not been booted with systemd as init system (PID 1). Can't operate.\nFailed to connect to bus: Host is down",
    );
  }
  const [verb] = words.filter((word) => !word.startsWith('--'));
  const units = words.slice(words.indexOf('--') + 1);
  const [name] = units;
  if (verb === 'show') {
    const asked = words.find((word) => word.startsWith('--property=')).slice('--property='.length);
    const state = world.units[name] ? stepOf(world.units[name]) : ABSENT;
    for (const property of asked.split(',')) say(`${property}=${state[property] ?? ''}`);
    return;
  }
  if (verb === 'is-active') {
    const states = units.map((unit) => (world.units[unit]?.states[0] ?? ABSENT).ActiveState);
    for (const state of states) say(state);
    process.exit(states.includes('active') ? 0 : 3);
  }
  if (!world.units[name])
    end(5, `Failed to ${verb} ${name}: Unit ${name} not ${verb === 'stop' ? 'loaded' : 'found'}.`);
  order(world.units[name], verb);
}

if (program === 'docker') docker(args);
else if (program === 'docker-compose') compose(args, world.standalone);
else systemctl(args);
