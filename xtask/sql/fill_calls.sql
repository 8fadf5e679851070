-- A share of the calls: one every so often over the year before now, each with its leg and, if answered, its usage.
-- Variables: calls, from, to, organizations, customers.
set session_replication_role = replica;
set synchronous_commit = off;
select setseed(0.25);

create or replace function pg_temp.id_at(at timestamptz, kind integer, n bigint) returns uuid language sql immutable as $$
    select (lpad(to_hex((extract(epoch from at) * 1000)::bigint), 12, '0') || '7' || lpad(to_hex(kind), 3, '0')
        || '8' || lpad(to_hex(n), 15, '0'))::uuid
$$;

with picked as (
    select g.n, o.id as organization_id, o.integration_id, o.number_id, o.mapping_id, o.e164 as ours, o.n as organization_n,
        c.id as customer_id, c.e164 as theirs, random() < 0.75 as is_answered,
        date_trunc('second', now() - interval '366 days' + (g.n::double precision / :calls) * interval '365 days') as started_at,
        5 + (random() * 20)::int as ringing_seconds, 1 + (-ln(1 - random() * 0.9999) * 200)::int as talking_seconds
    from generate_series(:from::bigint, :to::bigint - 1) g (n)
    join fill_customers c on c.n = (g.n * 7919) % :customers
    join fill_organizations o on o.id = c.organization_id
), timed as (
    select p.*, pg_temp.id_at(p.started_at, 16, p.n) as id,
        case when p.is_answered then p.started_at + make_interval(secs => p.ringing_seconds) end as answered_at,
        p.started_at + make_interval(secs => p.ringing_seconds + case when p.is_answered then p.talking_seconds else 0 end) as ended_at,
        case when p.is_answered then p.talking_seconds else 0 end as billable_seconds,
        pg_temp.id_at('2024-01-01', 5, p.organization_n * 10 + p.n % 9) as user_id
    from picked p
), called as (
    insert into calls (organization_id, id, provider, conversation_sid, integration_id, phone_number_id, mapping_id, direction, state,
        outcome, external_party, from_party, to_party, customer_id, answered_by, started_at, answered_at, ended_at, billable_seconds,
        viewer_ids, updated_at)
    select organization_id, id, 'openphone', 'ACfill' || n, integration_id, number_id, mapping_id, 'incoming', 'ended',
        case when is_answered then 'answered' else 'missed' end, theirs, theirs, ours, customer_id,
        case when is_answered then user_id end, started_at, answered_at, ended_at, billable_seconds,
        array[user_id], ended_at
    from timed
), listed as (
    insert into call_viewers (organization_id, user_id, started_at, call_id) select organization_id, user_id, started_at, id from timed
)
insert into usage_events (organization_id, id, meter, quantity, occurred_at, received_at, idempotency_key, key_digest, request_hash,
    user_id, mapping_id, customer_id, call_id, resource_type, resource_id)
select t.organization_id, pg_temp.id_at(t.ended_at, 17, t.n * 2 + u.part), u.meter, u.quantity, u.occurred_at, t.ended_at, u.key,
    substr(d.digest, 1, 16), substr(d.digest, 17, 16), case when t.is_answered then t.user_id end,
    t.mapping_id, t.customer_id, t.id, 'call', 'ACfill' || t.n
from timed t
cross join lateral (values
    (0, 'CALL_RECEIVED', 1::numeric, t.started_at, 'openphone:call:ACfill' || t.n || ':received'),
    (1, 'CALL_DURATION_SECONDS', t.billable_seconds::numeric, coalesce(t.answered_at, t.started_at), 'openphone:call:ACfill' || t.n || ':seconds')
) u (part, meter, quantity, occurred_at, key)
cross join lateral (select sha256(u.key::bytea) as digest offset 0) d
where u.part = 0 or t.is_answered;
