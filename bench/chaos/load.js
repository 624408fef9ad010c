// Three kinds of clients of one gateway at the same time, for k6. Whatever is not a whole right answer counts as
// a failure. Settings come from the environment: GATEWAY (host:port), TOKEN, GROUP_TOKEN, SECONDS, SUMMARY (a file).
import http from 'k6/http';
import grpc from 'k6/net/grpc';
import { Counter } from 'k6/metrics';
import { sleep } from 'k6';

const gateway = __ENV.GATEWAY;
const seconds = Number(__ENV.SECONDS);
const kinds = ['http', 'sse', 'grpc'];
const done = {};
const failed = {};
for (const kind of kinds) {
  done[kind] = new Counter(`${kind}_done`);
  failed[kind] = new Counter(`${kind}_failed`);
}

export const options = {
  discardResponseBodies: false,
  scenarios: {
    http: {
      executor: 'constant-arrival-rate', exec: 'short', rate: 100, timeUnit: '1s', duration: `${seconds}s`,
      preAllocatedVUs: 20, maxVUs: 200, gracefulStop: '20s',
    },
    sse: { executor: 'constant-vus', exec: 'sse', vus: 8, duration: `${seconds}s`, gracefulStop: '20s' },
    grpc: { executor: 'constant-vus', exec: 'stream', vus: 8, duration: `${seconds}s`, gracefulStop: '20s' },
  },
};

const headers = { Authorization: __ENV.TOKEN };

function count(kind, problem) {
  if (problem) {
    failed[kind].add(1);
    console.error(`${new Date().toISOString()} ${kind}: ${problem}`);
  } else {
    done[kind].add(1);
  }
}

// By turns the service's own entry, that of its group, and that of the service as a member of it.
const entries = ['chaos_web', 'chaos_all', 'chaos_all.chaos_web'];
const ofGroup = { Authorization: __ENV.GROUP_TOKEN };

export function short() {
  const entry = entries[__ITER % entries.length];
  const shown = entry === 'chaos_web' ? headers : ofGroup;
  const answer = http.get(`http://${gateway}/api/predict/${entry}/`, { headers: shown, timeout: '20s' });
  const right = answer.status === 200 && String(answer.body).startsWith('ok ');
  count('http', right ? '' : `${answer.status} ${answer.error} ${String(answer.body).slice(0, 200)}`);
}

export function sse() {
  const answer = http.get(`http://${gateway}/api/predict/chaos_web/stream`, { headers, timeout: '20s' });
  const events = String(answer.body).match(/^data: \d$/gm) || [];
  const right = answer.status === 200 && events.length === 6;
  count('sse', right ? '' : `${answer.status} ${answer.error} after ${events.length} events`);
}

const client = new grpc.Client();
client.load([__ENV.PROTOS], 'notes.proto');
let connected = false;

export function stream() {
  if (!connected) {
    client.connect(gateway, { plaintext: true, timeout: '10s' });
    connected = true;
  }
  const metadata = { 'x-easel-service': 'chaos_rpc', authorization: __ENV.TOKEN };
  const call = new grpc.Stream(client, 'chaos.Notes/Echo', { metadata });
  const wanted = 6;
  let received = 0;
  let problem = '';
  call.on('data', () => { received += 1; });
  call.on('error', (error) => { problem = `${error.code} ${error.message}`; });
  call.on('end', () => {
    if (!problem && received !== wanted) { problem = `${received} of ${wanted} notes came back`; }
    count('grpc', problem);
  });
  for (let number = 1; number <= wanted; number += 1) {
    setTimeout(() => { if (!problem) { call.write({ number }); } }, number * 400);
  }
  setTimeout(() => { if (!problem) { call.end(); } }, wanted * 400 + 200);
  sleep(0);
}

export function handleSummary(data) {
  const value = (name) => (data.metrics[name] ? data.metrics[name].values.count : 0);
  const counts = {};
  for (const kind of kinds) {
    counts[kind] = { done: value(`${kind}_done`), failed: value(`${kind}_failed`) };
  }
  counts.dropped = value('dropped_iterations');
  return { [__ENV.SUMMARY]: JSON.stringify(counts) };
}
