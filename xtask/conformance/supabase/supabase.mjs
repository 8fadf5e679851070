// Supabase's own client calls our remote procedures and our function, and reads our errors.

import assert from 'node:assert/strict';
import { createHmac, randomUUID } from 'node:crypto';
import { createClient, FunctionsHttpError } from '@supabase/supabase-js';
import WebSocket from 'ws';

const { TOLLBOOK_URL: url, SUPABASE_SERVICE_KEY: serviceKey, SUPABASE_JWT_SECRET: secret } = process.env;
const FUNCTION = 'ops-map-number-to-tenant';
/** Each run has tenants of its own. */
const RUN = Date.now().toString(36);
const TENANT = `tenant-${RUN}`;
const NUMBER = `+1250555${String(Date.now()).slice(-4)}`;
const NUMBER_SID = `PN${RUN.padEnd(32, 'x')}`;

/** The client as anyone makes it. On this version of Node it asks to be given sockets, which it then does not use. */
function client(key, options = {}) {
  return createClient(url, key, { realtime: { transport: WebSocket }, auth: { persistSession: false }, ...options });
}

function token(claims) {
  const part = value => Buffer.from(JSON.stringify(value)).toString('base64url');
  const content = `${part({ alg: 'HS256', typ: 'JWT' })}.${part(claims)}`;
  return `${content}.${createHmac('sha256', secret).update(content).digest('base64url')}`;
}

const now = Math.floor(Date.now() / 1000);
const projectKey = (role, exp = now + 600) => token({ iss: 'supabase', ref: 'example', role, iat: now, exp });
/** A person who is signed in with Supabase. */
const asUser = (sub, exp = now + 600) => client(projectKey('anon'), {
  accessToken: async () => token({ sub, aud: 'authenticated', role: 'authenticated', exp }),
});

const service = client(serviceKey);
let failed = false;

async function check(name, run) {
  try {
    await run();
    console.log(`ok ${name}`);
  } catch (error) {
    failed = true;
    console.log(`not ok ${name}: ${String(error.message ?? error).split('\n').join(' ')}`);
  }
}

/** What the server's own interface answers, for arranging. */
async function api(path, body, more = {}) {
  const headers = { authorization: `Bearer ${serviceKey}`, 'content-type': 'application/json', ...more };
  const response = await fetch(`${url}${path}`, { method: 'POST', headers, body: JSON.stringify(body) });
  assert.ok(response.ok, `${path}: ${response.status} ${await response.clone().text()}`);
  return response.json();
}

function mappingBody(tenant = TENANT, number = NUMBER, sid = NUMBER_SID) {
  return { tenant_id: tenant, twilio_number_sid: sid, phone_number: number, number_type: 'both' };
}

/** The error that a call must end with, in PostgREST's form. */
function refused({ data, error, status }, code, wanted) {
  assert.equal(data, null);
  assert.ok(error, 'there is no error');
  assert.deepEqual(['code', 'details', 'hint', 'message'].filter(it => !(it in error)), []);
  assert.deepEqual([error.code, status], [code, wanted], error.message);
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
let mapping;
let voice;

await check('functions.invoke maps a number', async () => {
  const { data, error } = await service.functions.invoke(FUNCTION, { body: mappingBody() });
  assert.ifError(error);
  assert.equal(data.success, true);
  assert.equal(data.message, 'Mapped number to tenant and initialized usage counters');
  assert.equal(data.evidence, `✅ Mapped ${NUMBER} to tenant and initialized usage counters`);
  assert.equal(data.mapping.phone_number, NUMBER);
  mapping = data.mapping.id;
});

await check('functions.invoke again updates', async () => {
  const { data } = await service.functions.invoke(FUNCTION, { body: mappingBody() });
  assert.equal(data.evidence, `✅ Mapped ${NUMBER} to tenant and initialized usage counters (updated)`);
  assert.equal(data.mapping.id, mapping);
});

await check('functions.invoke tells what is wrong', async () => {
  const { data, error } = await service.functions.invoke(FUNCTION, { body: { phone_number: NUMBER } });
  assert.equal(data, null);
  assert.ok(error instanceof FunctionsHttpError);
  assert.equal(error.context.status, 400);
  const said = await error.context.json();
  assert.deepEqual(said, { success: false, error: 'tenant_id is required; twilio_number_sid is required' });
});

const counter = () => service.rpc('get_or_create_usage_counter', { p_tenant_id: TENANT, p_phone_mapping_id: mapping });

await check("rpc('get_or_create_usage_counter') begins at zero", async () => {
  const { data, error, status } = await counter();
  assert.ifError(error);
  assert.equal(status, 200);
  assert.match(data.id, UUID);
  assert.deepEqual([data.tenant_id, data.phone_mapping_id], [TENANT, mapping]);
  assert.deepEqual([data.voice_minutes_used, data.voice_calls_count, data.sms_count_used], [0, 0, 0]);
});

await check("rpc('log_voice_usage') answers the log's id", async () => {
  const { data, error } = await service.rpc('log_voice_usage', {
    p_tenant_id: TENANT,
    p_phone_mapping_id: mapping,
    p_duration_seconds: 180,
    p_call_metadata: { call_sid: `CA${RUN}`, from: '+12505559999', to: NUMBER, status: 'completed' },
  });
  assert.ifError(error);
  assert.match(data, UUID);
  voice = data;
});

await check('the same call counts once', async () => {
  const { data } = await service.rpc('log_voice_usage', {
    p_tenant_id: TENANT, p_phone_mapping_id: mapping, p_duration_seconds: 180, p_call_metadata: { call_sid: `CA${RUN}` },
  });
  assert.equal(data, voice);
});

await check("rpc('log_sms_usage') counts both directions", async () => {
  for (const p_direction of ['outbound', 'inbound']) {
    const { data, error } = await service.rpc('log_sms_usage', {
      p_tenant_id: TENANT,
      p_phone_mapping_id: mapping,
      p_direction,
      p_sms_metadata: { message_sid: `SM${p_direction}`, from: NUMBER, to: '+12505559999', status: 'delivered' },
    });
    assert.ifError(error);
    assert.match(data, UUID);
  }
});

await check('metadata may be left out', async () => {
  const { error } = await service.rpc('log_sms_usage', { p_tenant_id: TENANT, p_phone_mapping_id: mapping, p_direction: 'inbound' });
  assert.ifError(error);
});

await check('the counter shows all of it', async () => {
  const { data } = await counter();
  const { voice_minutes_used, voice_calls_count, sms_count_used, sms_sent_count, sms_received_count } = data;
  assert.deepEqual([voice_minutes_used, voice_calls_count, sms_count_used, sms_sent_count, sms_received_count], [3, 1, 3, 1, 2]);
});

const log = (by, change) => by.rpc('log_voice_usage', {
  p_tenant_id: TENANT, p_phone_mapping_id: mapping, p_duration_seconds: 1, p_call_metadata: {}, ...change,
});

await check('single() takes the one answer', async () => {
  const { data, error } = await service.rpc('get_or_create_usage_counter', { p_tenant_id: TENANT, p_phone_mapping_id: mapping }).single();
  assert.ifError(error);
  assert.equal(data.tenant_id, TENANT);
});
await check('an unknown tenant is 22023', async () => refused(await log(service, { p_tenant_id: 'nobody' }), '22023', 400));
await check("another's mapping is 42501", async () => refused(await log(service, { p_phone_mapping_id: randomUUID() }), '42501', 403));
await check('a negative duration is 22023', async () => refused(await log(service, { p_duration_seconds: -1 }), '22023', 400));
await check('no uuid is 22P02', async () => refused(await log(service, { p_phone_mapping_id: 'x' }), '22P02', 400));
await check('no integer is 22P02', async () => refused(await log(service, { p_duration_seconds: 1.5 }), '22P02', 400));
await check('an unknown argument is PGRST202', async () => refused(await log(service, { p_other: 1 }), 'PGRST202', 404));
await check('an unknown function is PGRST202', async () => refused(await service.rpc('drop_everything', {}), 'PGRST202', 404));
await check('an unknown direction is 22023', async () => refused(await service.rpc('log_sms_usage', {
  p_tenant_id: TENANT, p_phone_mapping_id: mapping, p_direction: 'sideways',
}), '22023', 400));

await check('the anon key is nobody', async () => refused(await log(client(projectKey('anon')), {}), 'PGRST302', 401));
await check('a publishable key is nobody', async () => refused(await log(client('sb_publishable_example_1'), {}), 'PGRST302', 401));
await check('the legacy service key is the platform', async () => assert.ifError((await log(client(projectKey('service_role')), {})).error));
await check('an expired key is PGRST303', async () => refused(await log(client(projectKey('service_role', now - 600)), {}), 'PGRST303', 401));
await check('a stranger is nobody', async () => refused(await log(asUser(randomUUID()), {}), 'PGRST301', 401));
await check('the function refuses the anon key', async () => {
  const { error } = await client(projectKey('anon')).functions.invoke(FUNCTION, { body: mappingBody() });
  assert.equal(error.context.status, 401);
});

await check('an API key acts for its own tenant only', async () => {
  const own = await api('/api/orgs', { name: 'Own', externalKey: `own-${RUN}` });
  const made = await api('/api/api-keys', { name: 'conformance', scopes: ['admin'] }, { 'x-organization-id': own.id });
  const admin = client(made.key);
  const number = `+1250556${String(Date.now()).slice(-4)}`;
  const sid = `PN${`b${RUN}`.padEnd(32, 'y')}`;
  const { data, error } = await admin.functions.invoke(FUNCTION, { body: mappingBody(`own-${RUN}`, number, sid) });
  assert.ifError(error);
  assert.ifError((await log(admin, { p_tenant_id: `own-${RUN}`, p_phone_mapping_id: data.mapping.id })).error);
  refused(await log(admin, {}), '42501', 403);
  refused(await log(admin, { p_tenant_id: `own-${RUN}` }), '42501', 403);
  const taken = await admin.functions.invoke(FUNCTION, { body: mappingBody(`own-${RUN}`) });
  assert.equal(taken.error.context.status, 400);
  assert.match((await taken.error.context.json()).error, /already mapped to another organization/);
});

process.exit(failed ? 1 : 0);
