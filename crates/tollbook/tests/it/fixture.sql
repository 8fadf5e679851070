-- One organization with a row in every table: two customers, an admin, a member, a portal user; one call of each
-- customer, of which the member may see the first. Run once for each organization, with `fixture.org` set to a digit.
-- What the platform shares is made by whichever run comes first.
create or replace function pg_temp.id(n integer) returns uuid language sql as
    $$select (current_setting('fixture.org') || '0000000-0000-7000-8000-' || lpad(n::text, 12, '0'))::uuid$$;
create or replace function pg_temp.digest(n integer, bytes integer) returns bytea language sql as
    $$select substr(sha256((current_setting('fixture.org') || n)::bytea), 1, bytes)$$;
create or replace function pg_temp.phone(n integer) returns text language sql as
    $$select '+1202555' || current_setting('fixture.org') || lpad(n::text, 3, '0')$$;
create or replace function pg_temp.at(days integer) returns timestamptz language sql as
    $$select timestamptz '2026-03-01T00:00:00Z' + make_interval(days => days)$$;

insert into organizations (id, name, external_key) values (pg_temp.id(1), 'Organization ' || current_setting('fixture.org'), 'org-' || current_setting('fixture.org'));
insert into users (id, email, name) select pg_temp.id(n), name || current_setting('fixture.org') || '@example.com', name
    from (values (11, 'admin'), (12, 'member'), (13, 'colleague'), (14, 'portal')) as t(n, name);
insert into memberships (organization_id, user_id, role) values
    (pg_temp.id(1), pg_temp.id(11), 'org_admin'), (pg_temp.id(1), pg_temp.id(12), 'org_member'), (pg_temp.id(1), pg_temp.id(13), 'org_member');
insert into sessions (id, user_id, token_digest, csrf_token, organization_id, expires_at)
    values (pg_temp.id(21), pg_temp.id(11), pg_temp.digest(21, 32), 'token', pg_temp.id(1), pg_temp.at(9));
insert into refresh_families (id, user_id) values (pg_temp.id(22), pg_temp.id(11));
insert into refresh_tokens (digest, family_id, expires_at) values (pg_temp.digest(22, 32), pg_temp.id(22), pg_temp.at(9));
insert into api_keys (organization_id, id, name, digest, prefix, scopes) values (pg_temp.id(1), pg_temp.id(23), 'key', pg_temp.digest(23, 32), 'tb_', '{read}');
insert into sellers (id, organization_id, invoice_prefix) values (pg_temp.id(1), pg_temp.id(1), 'A');

-- Numbers: one that the member may use, one that the colleague may use.
insert into integrations (id, organization_id, provider) values (pg_temp.id(31), pg_temp.id(1), 'openphone');
insert into phone_numbers (id, e164, provider, integration_id) values
    (pg_temp.id(32), pg_temp.phone(32), 'openphone', pg_temp.id(31)), (pg_temp.id(33), pg_temp.phone(33), 'openphone', pg_temp.id(31));
insert into number_mappings (id, phone_number_id, organization_id, starts_at) values
    (pg_temp.id(34), pg_temp.id(32), pg_temp.id(1), pg_temp.at(0)), (pg_temp.id(35), pg_temp.id(33), pg_temp.id(1), pg_temp.at(0));
insert into assignments (organization_id, id, phone_number_id, user_id, starts_at) values
    (pg_temp.id(1), pg_temp.id(36), pg_temp.id(32), pg_temp.id(12), pg_temp.at(0)), (pg_temp.id(1), pg_temp.id(37), pg_temp.id(33), pg_temp.id(13), pg_temp.at(0));

-- Customers 51 and 52 with accounts 41 and 42; account 43 is the organization's own with the platform.
insert into accounts (organization_id, id, payer) values (pg_temp.id(1), pg_temp.id(41), 'customer'), (pg_temp.id(1), pg_temp.id(42), 'customer'),
    (pg_temp.id(1), pg_temp.id(43), 'organization');
insert into customers (organization_id, id, account_id, name) values
    (pg_temp.id(1), pg_temp.id(51), pg_temp.id(41), 'Ann'), (pg_temp.id(1), pg_temp.id(52), pg_temp.id(42), 'Bob');
insert into contacts (organization_id, id, customer_id, name) values (pg_temp.id(1), pg_temp.id(53), pg_temp.id(51), 'Ann'), (pg_temp.id(1), pg_temp.id(54), pg_temp.id(52), 'Bob');
insert into customer_numbers (organization_id, id, customer_id, e164) values
    (pg_temp.id(1), pg_temp.id(55), pg_temp.id(51), pg_temp.phone(55)), (pg_temp.id(1), pg_temp.id(56), pg_temp.id(52), pg_temp.phone(56));
insert into customer_notes (organization_id, id, customer_id, body) values (pg_temp.id(1), pg_temp.id(57), pg_temp.id(51), 'note'), (pg_temp.id(1), pg_temp.id(58), pg_temp.id(52), 'note');
insert into portal_users (organization_id, customer_id, user_id) values (pg_temp.id(1), pg_temp.id(51), pg_temp.id(14));
insert into search_terms (organization_id, term, kind, id) values (pg_temp.id(1), 'ann', 'customer', pg_temp.id(51)), (pg_temp.id(1), 'bob', 'customer', pg_temp.id(52)),
    (pg_temp.id(1), 'a-1', 'invoice', pg_temp.id(111));

-- Call 61 is the member's, 62 the colleague's; so are messages, voicemails and recordings.
insert into inbox (id, received_at, integration_id, organization_id, provider, event_key, verdict, headers, body)
    values (pg_temp.id(60), now(), pg_temp.id(31), pg_temp.id(1), 'openphone', 'key', 'standard', '{}', 'body');
insert into inbox_keys (integration_id, event_key, inbox_id, body_hash) values (pg_temp.id(31), 'key', pg_temp.id(60), pg_temp.digest(60, 32));
insert into inbox_queue (lane, inbox_id, received_at) values (0, pg_temp.id(60), now());
insert into webhook_rejections (integration_id, day, reason, count) values (pg_temp.id(31), '2026-03-01', 'wrong', 1);
insert into calls (organization_id, id, provider, conversation_sid, integration_id, phone_number_id, direction, state, customer_id, started_at, viewer_ids)
    select pg_temp.id(1), pg_temp.id(60 + n), 'openphone', 'AC' || n, pg_temp.id(31), pg_temp.id(31 + n), 'incoming', 'ringing', pg_temp.id(50 + n), pg_temp.at(n),
        array[pg_temp.id(11 + n)] from generate_series(1, 2) n;
insert into call_legs (organization_id, id, call_id, integration_id, sid, phase, observed)
    select pg_temp.id(1), pg_temp.id(62 + n), pg_temp.id(60 + n), pg_temp.id(31), 'AC' || n, 'ringing', '{}' from generate_series(1, 2) n;
insert into call_events (organization_id, id, call_id, occurred_at, kind)
    select pg_temp.id(1), pg_temp.id(64 + n), pg_temp.id(60 + n), pg_temp.at(n), 'ringing' from generate_series(1, 2) n;
insert into call_viewers (organization_id, user_id, started_at, call_id)
    select pg_temp.id(1), pg_temp.id(11 + n), pg_temp.at(n), pg_temp.id(60 + n) from generate_series(1, 2) n;
insert into messages (organization_id, id, provider, sid, integration_id, direction, status, customer_id, occurred_at, observed, viewer_ids)
    select pg_temp.id(1), pg_temp.id(66 + n), 'openphone', 'AM' || n, pg_temp.id(31), 'incoming', 'received', pg_temp.id(50 + n), pg_temp.at(n), '{}',
        array[pg_temp.id(11 + n)] from generate_series(1, 2) n;
insert into message_viewers (organization_id, user_id, occurred_at, message_id)
    select pg_temp.id(1), pg_temp.id(11 + n), pg_temp.at(n), pg_temp.id(66 + n) from generate_series(1, 2) n;
insert into voicemails (organization_id, id, call_id, provider, sid, occurred_at, viewer_ids)
    select pg_temp.id(1), pg_temp.id(68 + n), pg_temp.id(60 + n), 'openphone', 'AV' || n, pg_temp.at(n), array[pg_temp.id(11 + n)] from generate_series(1, 2) n;
insert into voicemail_viewers (organization_id, user_id, occurred_at, voicemail_id)
    select pg_temp.id(1), pg_temp.id(11 + n), pg_temp.at(n), pg_temp.id(68 + n) from generate_series(1, 2) n;
insert into recordings (organization_id, id, call_id, provider, sid, occurred_at, viewer_ids)
    select pg_temp.id(1), pg_temp.id(70 + n), pg_temp.id(60 + n), 'openphone', 'AR' || n, pg_temp.at(n), array[pg_temp.id(11 + n)] from generate_series(1, 2) n;
insert into transcripts (organization_id, call_id, viewer_ids)
    select pg_temp.id(1), pg_temp.id(60 + n), array[pg_temp.id(11 + n)] from generate_series(1, 2) n;
insert into provider_costs (organization_id, id, bearer, provider, subject, subject_id, occurred_at) values
    (pg_temp.id(1), pg_temp.id(73), 'organization', 'openphone', 'call', pg_temp.id(61), pg_temp.at(1)),
    (pg_temp.id(1), pg_temp.id(74), 'platform', 'openphone', 'call', pg_temp.id(62), pg_temp.at(2));
insert into provider_prices (organization_id, id, cost_id, bearer, revision, source, amount, change, currency, known_at)
    select c.organization_id, pg_temp.id(n + 2), c.id, c.bearer, 1, 'asked', price, price, 'USD', pg_temp.at(3)
    from (values (73, 0.0085), (74, 0.013)) k (n, price) join provider_costs c on c.id = pg_temp.id(n);
update provider_costs c set amount = p.amount, currency = p.currency, known_at = p.known_at, revision = p.revision
    from provider_prices p where p.organization_id = c.organization_id and p.cost_id = c.id and c.organization_id = pg_temp.id(1);
insert into provider_cost_days (organization_id, id, bearer, provider, meter, currency, day, amount, total, prices, amount_minor, minor_digits) values
    (pg_temp.id(1), pg_temp.id(77), 'organization', 'openphone', 'CALL_DURATION_SECONDS', 'USD', '2026-03-04', 0.0085, 0.0085, 1, 1, 2),
    (pg_temp.id(1), pg_temp.id(78), 'platform', 'openphone', 'CALL_DURATION_SECONDS', 'USD', '2026-03-04', 0.013, 0.013, 1, 1, 2);
insert into cost_postings (organization_id, posted_until) values (pg_temp.id(1), '2026-03-01');
insert into live_events (organization_id, kind, subject_id) values (pg_temp.id(1), 'call.ringing', pg_temp.id(61));

-- Usage.
insert into meters (organization_id, code, name, base_unit) values (pg_temp.id(1), 'errand', 'Errands', 'errand');
insert into usage_events (organization_id, id, meter, quantity, occurred_at, idempotency_key, key_digest, request_hash, customer_id)
    select pg_temp.id(1), pg_temp.id(80 + n), 'errand', 1, pg_temp.at(n), 'key ' || n, pg_temp.digest(80 + n, 16), pg_temp.digest(80 + n, 16), pg_temp.id(50 + n)
    from generate_series(1, 2) n;
insert into number_months (organization_id, id, mapping_id, period_start, period_end, user_id, usage_event_id)
    values (pg_temp.id(1), pg_temp.id(84), pg_temp.id(34), pg_temp.at(0), pg_temp.at(31), pg_temp.id(12), pg_temp.id(81));
insert into usage_counters (organization_id, meter, period_start, period_end) values (pg_temp.id(1), 'errand', pg_temp.at(0), pg_temp.at(31));
insert into number_counters (organization_id, id, mapping_id, period_start, period_end) values (pg_temp.id(1), pg_temp.id(83), pg_temp.id(34), pg_temp.at(0), pg_temp.at(31));
insert into rating_queue (lane, organization_id, account_id, usage_event_id) values (0, pg_temp.id(1), pg_temp.id(41), pg_temp.id(81));

-- Plans: the platform's and the organization's own. Subscriptions 101 (customer 51), 102 (customer 52), 103 (the organization).
insert into plans (seller_id, id, code, name, kind) values ('00000000-0000-0000-0000-000000000000', '00000000-0000-7000-8000-000000000091', 'offer', 'Offer', 'subscription') on conflict do nothing;
insert into plan_versions (seller_id, id, plan_id, version, state, currency, document, published_at) values ('00000000-0000-0000-0000-000000000000',
    '00000000-0000-7000-8000-000000000092', '00000000-0000-7000-8000-000000000091', 1, 'published', 'USD', '{}', pg_temp.at(0)) on conflict do nothing;
insert into plans (seller_id, id, code, name, kind) values (pg_temp.id(1), pg_temp.id(91), 'own', 'Own', 'subscription');
insert into plan_versions (seller_id, id, plan_id, version, state, currency, document, published_at) values (pg_temp.id(1), pg_temp.id(92), pg_temp.id(91), 1, 'published', 'USD', '{}', pg_temp.at(0));
insert into price_decks (seller_id, id, key, name) values (pg_temp.id(1), pg_temp.id(94), 'world', 'World');
insert into deck_versions (seller_id, id, deck_id, version, effective_from, entry_count) values (pg_temp.id(1), pg_temp.id(95), pg_temp.id(94), 1, pg_temp.at(0), 1);
insert into deck_entries (seller_id, version_id, prefix, price) values (pg_temp.id(1), pg_temp.id(95), '44', 0.02);
insert into pay_per_call_terms (organization_id, id, plan_version_id, starts_at) values (pg_temp.id(1), pg_temp.id(93), pg_temp.id(92), pg_temp.at(0));
insert into subscriptions (organization_id, id, payer, customer_id, account_id, state, zone, anchor_on, interval_months, starts_at) values
    (pg_temp.id(1), pg_temp.id(101), 'customer', pg_temp.id(51), pg_temp.id(41), 'active', 'UTC', '2026-03-01', 1, pg_temp.at(0)),
    (pg_temp.id(1), pg_temp.id(102), 'customer', pg_temp.id(52), pg_temp.id(42), 'active', 'UTC', '2026-03-01', 1, pg_temp.at(0)),
    (pg_temp.id(1), pg_temp.id(103), 'organization', null, pg_temp.id(43), 'active', 'UTC', '2026-03-01', 1, pg_temp.at(0));
insert into subscription_segments (organization_id, id, subscription_id, seller_id, plan_version_id, starts_at) values
    (pg_temp.id(1), pg_temp.id(104), pg_temp.id(101), pg_temp.id(1), pg_temp.id(92), pg_temp.at(0)),
    (pg_temp.id(1), pg_temp.id(105), pg_temp.id(103), '00000000-0000-0000-0000-000000000000', '00000000-0000-7000-8000-000000000092', pg_temp.at(0));
insert into subscription_pauses (organization_id, id, subscription_id, starts_at, ends_at) values
    (pg_temp.id(1), pg_temp.id(181), pg_temp.id(101), pg_temp.at(10), pg_temp.at(12)),
    (pg_temp.id(1), pg_temp.id(182), pg_temp.id(103), pg_temp.at(10), pg_temp.at(12));
insert into billing_periods (organization_id, id, subscription_id, starts_at, ends_at) values
    (pg_temp.id(1), pg_temp.id(106), pg_temp.id(101), pg_temp.at(0), pg_temp.at(31)), (pg_temp.id(1), pg_temp.id(107), pg_temp.id(103), pg_temp.at(0), pg_temp.at(31));
insert into allowance_grants (organization_id, id, account_id, subscription_id, allowance_key, granted, starts_at, expires_at) values
    (pg_temp.id(1), pg_temp.id(108), pg_temp.id(41), pg_temp.id(101), 'hours', 3600, pg_temp.at(0), pg_temp.at(31)),
    (pg_temp.id(1), pg_temp.id(117), pg_temp.id(43), pg_temp.id(103), 'hours', 3600, pg_temp.at(0), pg_temp.at(31));
insert into allowance_forfeits (organization_id, grant_id, at, quantity) values
    (pg_temp.id(1), pg_temp.id(108), pg_temp.at(31), 1), (pg_temp.id(1), pg_temp.id(117), pg_temp.at(31), 1);
insert into tier_totals (organization_id, account_id, price_key, period_start) values (pg_temp.id(1), pg_temp.id(41), 'calls', pg_temp.at(0)),
    (pg_temp.id(1), pg_temp.id(43), 'calls', pg_temp.at(0));
insert into wallets (organization_id, id, account_id, customer_id, currency) values (pg_temp.id(1), pg_temp.id(109), pg_temp.id(41), pg_temp.id(51), 'USD'),
    (pg_temp.id(1), pg_temp.id(115), pg_temp.id(43), null, 'USD');
insert into wallet_movements (organization_id, id, wallet_id, kind, amount, occurred_at) values (pg_temp.id(1), pg_temp.id(110), pg_temp.id(109), 'top_up', 5, pg_temp.at(0));
insert into wallet_lots (organization_id, id, wallet_id, amount, received_at) values (pg_temp.id(1), pg_temp.id(110), pg_temp.id(109), 5, pg_temp.at(0));
insert into call_authorizations (organization_id, id, key, request_hash, phone_number_id, direction, external_e164, customer_id, seconds, started_at, expires_at)
    select pg_temp.id(1), pg_temp.id(170 + n), 'call ' || n, pg_temp.digest(170 + n, 16), pg_temp.id(31 + n), 'outgoing', pg_temp.phone(54 + n), pg_temp.id(50 + n), 60,
        pg_temp.at(n), pg_temp.at(n + 1) from generate_series(1, 2) n;
insert into call_reservations (organization_id, authorization_id, account_id, payer, wallet_id, zone, period_start, amount, expires_at, state, closed_at) values
    (pg_temp.id(1), pg_temp.id(171), pg_temp.id(41), 'customer', pg_temp.id(109), 'UTC', pg_temp.at(0), 1, pg_temp.at(2), 'settled', pg_temp.at(1)),
    (pg_temp.id(1), pg_temp.id(171), pg_temp.id(43), 'organization', pg_temp.id(115), 'UTC', pg_temp.at(0), 1, pg_temp.at(2), 'settled', pg_temp.at(1)),
    (pg_temp.id(1), pg_temp.id(172), pg_temp.id(42), 'customer', null, 'UTC', pg_temp.at(0), 0, pg_temp.at(3), 'open', null);

-- Documents: 111 of customer 51, 112 of customer 52, 113 of the organization, and drafts: 114 of customer 51, 116 of the organization.
insert into invoices (organization_id, id, payer, customer_id, kind, currency, period_start, period_end, zone, total_minor, subtotal_minor) values
    (pg_temp.id(1), pg_temp.id(111), 'customer', pg_temp.id(51), 'period', 'USD', pg_temp.at(0), pg_temp.at(31), 'UTC', 100, 100),
    (pg_temp.id(1), pg_temp.id(112), 'customer', pg_temp.id(52), 'period', 'USD', pg_temp.at(0), pg_temp.at(31), 'UTC', 100, 100),
    (pg_temp.id(1), pg_temp.id(113), 'organization', null, 'period', 'USD', pg_temp.at(0), pg_temp.at(31), 'UTC', 100, 100),
    (pg_temp.id(1), pg_temp.id(114), 'customer', pg_temp.id(51), 'one_off', 'USD', pg_temp.at(0), pg_temp.at(31), 'UTC', 0, 0),
    (pg_temp.id(1), pg_temp.id(116), 'organization', null, 'one_off', 'USD', pg_temp.at(0), pg_temp.at(31), 'UTC', 0, 0);
insert into charges (organization_id, id, payer, customer_id, account_id, usage_event_id, kind, seller_id, price_key, quantity, amount_numerator, amount_denominator, amount,
        currency, invoice_id, line_group, occurred_at, trace_version, trace) values
    (pg_temp.id(1), pg_temp.id(121), 'customer', pg_temp.id(51), pg_temp.id(41), pg_temp.id(81), 'usage', pg_temp.id(1), 'calls', 1, 1, 1, 1, 'USD', pg_temp.id(111), 'calls', pg_temp.at(1), 1, '{}'),
    (pg_temp.id(1), pg_temp.id(122), 'organization', null, pg_temp.id(43), pg_temp.id(81), 'usage', '00000000-0000-0000-0000-000000000000', 'calls', 1, 1, 1, 1, 'USD', pg_temp.id(113), 'calls', pg_temp.at(1), 1, '{}');
insert into invoice_lines (organization_id, id, invoice_id, position, line_group, description, quantity, unit, amount_numerator, amount_denominator, amount_minor, starts_at, ends_at)
    select pg_temp.id(1), pg_temp.id(130 + n), pg_temp.id(110 + n), 1, 'calls', 'Calls', 1, 'call', 1, 1, 100, pg_temp.at(0), pg_temp.at(31) from generate_series(1, 3) n;
insert into invoice_taxes (organization_id, invoice_id, percent, inclusive, base_minor, tax_minor)
    select pg_temp.id(1), pg_temp.id(110 + n), 0, false, 100, 0 from generate_series(1, 3) n;
update invoices set state = 'finalized', finalized_at = pg_temp.at(31), number = 'A-' || id, number_year = 2026,
        number_seq = ('x' || right(id::text, 3))::bit(12)::integer + 1000 * current_setting('fixture.org')::integer
    where organization_id = pg_temp.id(1) and id in (pg_temp.id(111), pg_temp.id(112), pg_temp.id(113));
insert into credit_notes (organization_id, id, invoice_id, payer, customer_id, number, number_year, number_seq, reason, currency, subtotal_minor, tax_minor, total_minor) values
    (pg_temp.id(1), pg_temp.id(141), pg_temp.id(111), 'customer', pg_temp.id(51), 'C-1' || current_setting('fixture.org'), 2026, 1, 'reason', 'USD', 10, 0, 10),
    (pg_temp.id(1), pg_temp.id(142), pg_temp.id(113), 'organization', null, 'C-2' || current_setting('fixture.org'), 2026, current_setting('fixture.org')::integer, 'reason', 'USD', 10, 0, 10);
insert into credit_note_lines (organization_id, id, credit_note_id, invoice_line_id, amount_minor) values
    (pg_temp.id(1), pg_temp.id(156), pg_temp.id(141), pg_temp.id(131), 10), (pg_temp.id(1), pg_temp.id(157), pg_temp.id(142), pg_temp.id(133), 10);
insert into credit_note_taxes (organization_id, credit_note_id, percent, inclusive, base_minor, tax_minor) values
    (pg_temp.id(1), pg_temp.id(141), 0, false, 10, 0), (pg_temp.id(1), pg_temp.id(142), 0, false, 10, 0);
insert into corrections (organization_id, id, kind, customer_id, call_id, reason, created_at) values
    (pg_temp.id(1), pg_temp.id(191), 'move_call', pg_temp.id(52), pg_temp.id(61), 'reason', pg_temp.at(32)),
    (pg_temp.id(1), pg_temp.id(192), 'waive', null, pg_temp.id(62), 'reason', pg_temp.at(32));
insert into correction_items (organization_id, correction_id, subject, subject_id, from_customer_id, to_customer_id) values
    (pg_temp.id(1), pg_temp.id(191), 'call', pg_temp.id(61), pg_temp.id(51), pg_temp.id(52));
insert into correction_payers (organization_id, customer_id, correction_id) values (pg_temp.id(1), pg_temp.id(51), pg_temp.id(191));
insert into correction_credits (organization_id, correction_id, invoice_line_id, share_minor, given_minor, credit_note_id) values
    (pg_temp.id(1), pg_temp.id(191), pg_temp.id(131), 10, 10, pg_temp.id(141));
insert into usage_waivers (organization_id, id, correction_id, call_id) values (pg_temp.id(1), pg_temp.id(193), pg_temp.id(192), pg_temp.id(62));
insert into payment_methods (organization_id, id, payer, customer_id, processor, token, kind) values
    (pg_temp.id(1), pg_temp.id(143), 'customer', pg_temp.id(51), 'stripe', 'pm_1', 'card'), (pg_temp.id(1), pg_temp.id(144), 'organization', null, 'stripe', 'pm_2', 'card');
insert into payments (organization_id, id, payer, customer_id, channel, state, currency, amount_minor, received_at) values
    (pg_temp.id(1), pg_temp.id(145), 'customer', pg_temp.id(51), 'check', 'succeeded', 'USD', 50, pg_temp.at(32)),
    (pg_temp.id(1), pg_temp.id(146), 'organization', null, 'check', 'succeeded', 'USD', 50, pg_temp.at(32));
insert into payment_allocations (organization_id, id, payment_id, invoice_id, amount_minor) values (pg_temp.id(1), pg_temp.id(147), pg_temp.id(145), pg_temp.id(111), 50);
insert into invoices (organization_id, id, payer, customer_id, kind, currency, period_start, period_end, zone, state, number, number_year, number_seq, finalized_at, void_reason) values
    (pg_temp.id(1), pg_temp.id(158), 'customer', pg_temp.id(51), 'one_off', 'USD', pg_temp.at(0), pg_temp.at(31), 'UTC', 'void', 'A-158', 2026, 158 + 1000 * current_setting('fixture.org')::integer, pg_temp.at(31), 'reason'),
    (pg_temp.id(1), pg_temp.id(159), 'organization', null, 'one_off', 'USD', pg_temp.at(0), pg_temp.at(31), 'UTC', 'void', 'A-159', 2026, 159 + 1000 * current_setting('fixture.org')::integer, pg_temp.at(31), 'reason');
insert into recharges (organization_id, document_id, void_invoice_id) values (pg_temp.id(1), pg_temp.id(114), pg_temp.id(158));
insert into ledger_accounts (organization_id, id, payer, kind, customer_id, currency) values
    (pg_temp.id(1), pg_temp.id(148), 'customer', 'receivable', pg_temp.id(51), 'USD'), (pg_temp.id(1), pg_temp.id(149), 'customer', 'revenue', null, 'USD'),
    (pg_temp.id(1), pg_temp.id(150), 'organization', 'receivable', null, 'USD'), (pg_temp.id(1), pg_temp.id(151), 'organization', 'revenue', null, 'USD');
insert into ledger_entries (organization_id, id, payer, document, document_id, occurred_at) values
    (pg_temp.id(1), pg_temp.id(152), 'customer', 'invoice', pg_temp.id(111), pg_temp.at(31)), (pg_temp.id(1), pg_temp.id(153), 'organization', 'invoice', pg_temp.id(113), pg_temp.at(31)),
    (pg_temp.id(1), pg_temp.id(181), 'customer', 'cost', pg_temp.id(77), pg_temp.at(3)), (pg_temp.id(1), pg_temp.id(182), 'organization', 'cost', pg_temp.id(78), pg_temp.at(3));
insert into transfers (organization_id, id, entry_id, debit_account_id, credit_account_id, amount_minor, currency) values
    (pg_temp.id(1), pg_temp.id(154), pg_temp.id(152), pg_temp.id(148), pg_temp.id(149), 100, 'USD'),
    (pg_temp.id(1), pg_temp.id(155), pg_temp.id(153), pg_temp.id(150), pg_temp.id(151), 100, 'USD');
-- What was brought along.
insert into imports (organization_id, id, prefix_before, year_before, next_before, prefix_after, year_after, next_after, created_at)
    values (pg_temp.id(1), pg_temp.id(191), 'A', 0, 1, 'A', 0, 1, pg_temp.at(0));
insert into import_rows (organization_id, id, import_id, kind, key, row_id, customer_id, item)
    values (pg_temp.id(1), pg_temp.id(192), pg_temp.id(191), 'customer', 'ann', pg_temp.id(51), pg_temp.id(51), '{}');
-- What providers charge: seen by who bears it.
insert into ledger_accounts (organization_id, id, payer, kind, meter, currency) values
    (pg_temp.id(1), pg_temp.id(183), 'customer', 'provider_cost', 'CALL_DURATION_SECONDS', 'USD'), (pg_temp.id(1), pg_temp.id(184), 'customer', 'provider_payable', '', 'USD'),
    (pg_temp.id(1), pg_temp.id(185), 'organization', 'provider_cost', 'CALL_DURATION_SECONDS', 'USD'), (pg_temp.id(1), pg_temp.id(186), 'organization', 'provider_payable', '', 'USD');
insert into transfers (organization_id, id, entry_id, debit_account_id, credit_account_id, amount_minor, currency, is_cost) values
    (pg_temp.id(1), pg_temp.id(187), pg_temp.id(181), pg_temp.id(183), pg_temp.id(184), 1, 'USD', true),
    (pg_temp.id(1), pg_temp.id(188), pg_temp.id(182), pg_temp.id(185), pg_temp.id(186), 1, 'USD', true);

-- Limits: of customer 51 and of the organization.
insert into spend_caps (organization_id, id, payer, customer_id, currency, amount, is_hard) values
    (pg_temp.id(1), pg_temp.id(191), 'customer', pg_temp.id(51), 'USD', 100, true), (pg_temp.id(1), pg_temp.id(192), 'organization', null, 'USD', 100, false);
insert into spend_totals (organization_id, account_id, payer, currency, period_start, amount) values
    (pg_temp.id(1), pg_temp.id(41), 'customer', 'USD', pg_temp.at(0), 1), (pg_temp.id(1), pg_temp.id(43), 'organization', 'USD', pg_temp.at(0), 1);
insert into usage_thresholds (organization_id, id, payer, customer_id, kind, at) values
    (pg_temp.id(1), pg_temp.id(193), 'customer', pg_temp.id(51), 'cap', 50), (pg_temp.id(1), pg_temp.id(194), 'organization', null, 'allowance', 50);
insert into alerts (organization_id, id, kind, severity, group_key, customer_id, count, first_seen_at, last_seen_at) values
    (pg_temp.id(1), pg_temp.id(195), 'cap', 'warning', 'fixture', pg_temp.id(51), 1, pg_temp.at(1), pg_temp.at(1));
insert into fraud_guards (organization_id, enabled_at, holds_unusual, history_days, allowed_destinations) values (pg_temp.id(1), pg_temp.at(0), true, 90, '{US}');
insert into fraud_holds (organization_id, id, destination, reason, holds_all, external_e164, held_at) values
    (pg_temp.id(1), pg_temp.id(196), 'CU', 'unusual_destination', false, '+5352345678', pg_temp.at(1));

-- Operations.
insert into jobs (id, organization_id, kind, payload) values (pg_temp.id(161), pg_temp.id(1), 'retain', '{}');
insert into schedules (name, every, next_run_at) values ('fixture', interval '1 day', pg_temp.at(0)) on conflict do nothing;
insert into audit_log (id, organization_id, actor_role, action, subject) values (pg_temp.id(162), pg_temp.id(1), 'org_admin', 'fixture.made', 'fixture');
insert into idempotency_keys (principal, key, request_hash) values ('user:' || pg_temp.id(11), 'key', pg_temp.digest(163, 32));
insert into provider_budgets (integration_id, day) values (pg_temp.id(31), '2026-03-01');
insert into sync_cursors (integration_id, what) values (pg_temp.id(31), 'calls');
insert into analytics_events (organization_id, id, name) values (pg_temp.id(1), pg_temp.id(164), 'fixture.made');
