-- One organization with 6,000 customers, 40 numbers, 6,000 calls, of which the member may see every fiftieth, and
-- another one with as much, save that it holds 8,000 numbers and that every call and voicemail has somebody who may see it.
create function pg_temp.org(n integer) returns uuid language sql as
    $$select case n when 1 then current_setting('fill.organization')::uuid else '20000000-0000-7000-8000-000000000001'::uuid end$$;
create function pg_temp.id(org integer, kind integer, n integer) returns uuid language sql immutable as
    $$select (lpad(org::text, 8, '0') || '-' || lpad(kind::text, 4, '0') || '-7000-8000-' || lpad(n::text, 12, '0'))::uuid$$;

insert into organizations (id, name, external_key) values (pg_temp.org(2), 'Other', 'other');
insert into sellers (id, organization_id, invoice_prefix) values (pg_temp.org(2), pg_temp.org(2), 'B');
insert into integrations (id, organization_id, provider) select pg_temp.id(o, 1, 1), pg_temp.org(o), 'openphone' from generate_series(1, 2) o;
insert into phone_numbers (id, e164, provider, integration_id) select pg_temp.id(o, 2, n), '+1303' || o || lpad(n::text, 6, '0'), 'openphone', pg_temp.id(o, 1, 1)
    from generate_series(1, 2) o, generate_series(1, case o when 1 then 40 else 8000 end) n;
insert into number_mappings (id, phone_number_id, organization_id, starts_at) select pg_temp.id(o, 3, n), pg_temp.id(o, 2, n), pg_temp.org(o), '2026-01-01'
    from generate_series(1, 2) o, generate_series(1, case o when 1 then 40 else 8000 end) n;
insert into assignments (organization_id, id, phone_number_id, user_id, starts_at)
    select pg_temp.org(1), pg_temp.id(1, 4, n), pg_temp.id(1, 2, n), current_setting('fill.member')::uuid, '2026-01-01' from generate_series(1, 5) n;
insert into accounts (organization_id, id, payer) select pg_temp.org(o), pg_temp.id(o, 5, n), 'customer' from generate_series(1, 2) o, generate_series(1, 6000) n;
insert into customers (organization_id, id, account_id, name, kind)
    select pg_temp.org(o), pg_temp.id(o, 5, n), pg_temp.id(o, 5, n), case when n % 3 = 0 then '' else 'Customer ' || n + (o - 1) * 6000 end,
        case when n % 3 = 0 then 'prospect' else 'customer' end from generate_series(1, 2) o, generate_series(1, 6000) n;
insert into customer_numbers (organization_id, id, customer_id, e164)
    select pg_temp.org(o), pg_temp.id(o, 6, n), pg_temp.id(o, 5, n), '+1202' || o || lpad(n::text, 6, '0') from generate_series(1, 2) o, generate_series(1, 6000) n;
insert into search_terms (organization_id, term, kind, id)
    select pg_temp.org(o), t.term, 'customer', pg_temp.id(o, 5, n) from generate_series(1, 2) o, generate_series(1, 6000) n,
        unnest(array['customer', n::text, '202' || o || lpad(n::text, 6, '0')]) as t(term) on conflict do nothing;
insert into contacts (organization_id, id, customer_id, name)
    select pg_temp.org(o), pg_temp.id(o, 7, n), pg_temp.id(o, 5, n), 'Contact' from generate_series(1, 2) o, generate_series(1, 6000) n;
insert into customer_notes (organization_id, id, customer_id, body)
    select pg_temp.org(o), pg_temp.id(o, 8, n), pg_temp.id(o, 5, n), 'Note' from generate_series(1, 2) o, generate_series(1, 6000) n;
insert into calls (organization_id, id, provider, conversation_sid, integration_id, phone_number_id, direction, state, outcome, external_party, from_party, to_party,
        customer_id, started_at, answered_at, ended_at, billable_seconds, viewer_ids)
    select pg_temp.org(o), pg_temp.id(o, 9, n), 'openphone', 'AC' || n, pg_temp.id(o, 1, 1), pg_temp.id(o, 2, 1), 'incoming', 'ended', 'answered',
        '+1202' || o || lpad(n::text, 6, '0'), '+1202' || o || lpad(n::text, 6, '0'), '+1303' || o || '000001', pg_temp.id(o, 5, 1 + n % 6000), at, at, at + interval '1 minute', 60,
        case when o = 2 or n % 50 = 0 then array[current_setting('fill.member')::uuid] else '{}' end
    from generate_series(1, 2) o, generate_series(1, 6000) n, lateral (select timestamptz '2026-02-01' + make_interval(mins => n) as at) t;
insert into call_viewers (organization_id, user_id, started_at, call_id)
    select organization_id, current_setting('fill.member')::uuid, started_at, id from calls where viewer_ids <> '{}';
insert into messages (organization_id, id, provider, sid, integration_id, direction, status, external_party, customer_id, occurred_at, observed)
    select pg_temp.org(o), pg_temp.id(o, 10, n), 'openphone', 'AM' || n, pg_temp.id(o, 1, 1), 'incoming', 'received', '+1202' || o || lpad(n::text, 6, '0'),
        pg_temp.id(o, 5, 1 + n % 6000), timestamptz '2026-02-01' + make_interval(mins => n),
        jsonb_build_object('sid', 'AM' || n) from generate_series(1, 2) o, generate_series(1, 6000) n;
insert into voicemails (organization_id, id, call_id, provider, sid, occurred_at)
    select pg_temp.org(o), pg_temp.id(o, 11, n), pg_temp.id(o, 9, n), 'openphone', 'AV' || n, timestamptz '2026-02-01' + make_interval(mins => n)
    from generate_series(1, 2) o, generate_series(1, 6000) n;
insert into call_legs (organization_id, id, call_id, integration_id, sid, phase, external_party, our_number, started_at, observed)
    select organization_id, id, id, integration_id, conversation_sid, 'ended', external_party, to_party, started_at, '{}' from calls;
insert into voicemail_viewers (organization_id, user_id, occurred_at, voicemail_id)
    select pg_temp.org(2), current_setting('fill.member')::uuid, occurred_at, id from voicemails where organization_id = pg_temp.org(2);
insert into message_viewers (organization_id, user_id, occurred_at, message_id)
    select pg_temp.org(2), current_setting('fill.member')::uuid, occurred_at, id from messages where organization_id = pg_temp.org(2);
insert into usage_events (organization_id, id, meter, quantity, occurred_at, idempotency_key, key_digest, request_hash, customer_id, call_id)
    select organization_id, id, 'CALL_DURATION_SECONDS', 60, started_at, id::text, uuid_send(id), uuid_send(id), customer_id, id from calls;
insert into invoices (organization_id, id, payer, customer_id, kind, currency, period_start, period_end, zone)
    select pg_temp.org(o), pg_temp.id(o, 12, n), 'customer', pg_temp.id(o, 5, n), 'period', 'USD', '2026-02-01', '2026-03-01', 'UTC'
    from generate_series(1, 2) o, generate_series(1, 6000) n;
insert into subscriptions (organization_id, id, payer, customer_id, account_id, state, zone, anchor_on, interval_months, starts_at)
    select pg_temp.org(o), pg_temp.id(o, 13, n), 'customer', pg_temp.id(o, 5, n), pg_temp.id(o, 5, n), 'active', 'UTC', '2026-02-01', 1, '2026-02-01'
    from generate_series(1, 2) o, generate_series(1, 6000) n where n % 3 <> 0;
analyze;
