-- Who may see and change which rows. Applied after the migrations; repeatable.
-- Platform and admin get each table with an `organization_id`; member and portal get nothing until a table is
-- listed below with its own predicate. Policies contain no subqueries: what a member may see is data on the row.

do $$
declare
    t record;
    -- Nothing in these is ever changed; see guards.sql for the triggers that say so to the owner too.
    append_only constant text[] := array['usage_events', 'charges', 'ledger_entries', 'transfers', 'audit_log',
        'wallet_movements', 'payment_allocations', 'credit_notes', 'credit_note_lines',
        'credit_note_taxes', 'recharges', 'imports', 'import_rows', 'call_events', 'inbox', 'live_events', 'provider_prices', 'provider_cost_days',
        'deck_versions', 'deck_entries', 'corrections', 'correction_items', 'correction_payers', 'correction_credits'];
    -- Tables with an organization_id that are not the organization's own to write or see as a whole; granted below.
    explicit constant text[] := array['sessions', 'sellers', 'inbox', 'jobs', 'audit_log', 'meters', 'phone_numbers',
        'provider_costs', 'provider_prices', 'provider_cost_days', 'cost_postings', 'number_months', 'rating_queue', 'live_events', 'call_authorizations', 'call_reservations',
        'imports', 'import_rows'];
    -- Rows with payer = 'organization' are the platform's sale: its admin reads them and writes none.
    has_payer boolean;
begin
    for t in select p.schemaname, p.tablename, p.policyname from pg_policies p where p.schemaname = 'public' loop
        execute format('drop policy %I on public.%I', t.policyname, t.tablename);
    end loop;
    for t in select c.relname, c.relispartition from pg_class c join pg_namespace n on n.oid = c.relnamespace
        where n.nspname = 'public' and c.relkind in ('r', 'p') and c.relname <> '_sqlx_migrations' loop
        execute format('revoke all on public.%I from public, tollbook_none, tollbook_platform, tollbook_admin, tollbook_member, tollbook_portal, tollbook_ingest', t.relname);
        execute format('alter table public.%I enable row level security', t.relname);
        -- A partition is reached through its table only.
        continue when t.relispartition;
        execute format('create policy platform on public.%I to tollbook_platform using (true) with check (true)', t.relname);
        if t.relname = any (append_only) then
            execute format('grant select, insert on public.%I to tollbook_platform', t.relname);
        else
            execute format('grant select, insert, update, delete on public.%I to tollbook_platform', t.relname);
        end if;
        if not exists (select from information_schema.columns c where c.table_schema = 'public' and c.table_name = t.relname and c.column_name = 'organization_id')
            or t.relname = any (explicit) then
            continue;
        end if;
        select exists (select from information_schema.columns c where c.table_schema = 'public' and c.table_name = t.relname and c.column_name = 'payer')
            into has_payer;
        execute format('create policy admin on public.%I to tollbook_admin using (organization_id = acting_organization_id()) with check (organization_id = acting_organization_id())', t.relname);
        if has_payer then
            execute format('create policy admin_payer_insert on public.%I as restrictive for insert to tollbook_admin with check (payer = ''customer'')', t.relname);
            execute format('create policy admin_payer_update on public.%I as restrictive for update to tollbook_admin using (payer = ''customer'') with check (payer = ''customer'')', t.relname);
            execute format('create policy admin_payer_delete on public.%I as restrictive for delete to tollbook_admin using (payer = ''customer'')', t.relname);
        end if;
        if t.relname = any (append_only) then
            execute format('grant select, insert on public.%I to tollbook_admin', t.relname);
        else
            execute format('grant select, insert, update, delete on public.%I to tollbook_admin', t.relname);
        end if;
    end loop;
end
$$;

-- What the platform may forget: bodies and keys past their time.
grant delete on live_events, inbox to tollbook_platform;

-- Admin: the tables that are not wholly the organization's own.
grant select on sellers to tollbook_admin;
grant update (invoice_prefix) on sellers to tollbook_admin;
create policy admin on sellers to tollbook_admin using (organization_id = acting_organization_id());
grant select on inbox to tollbook_admin;
create policy admin on inbox for select to tollbook_admin using (organization_id = acting_organization_id());
grant select, insert on jobs to tollbook_admin;
create policy admin on jobs to tollbook_admin using (organization_id = acting_organization_id()) with check (organization_id = acting_organization_id());
grant select, insert on audit_log to tollbook_admin;
create policy admin on audit_log to tollbook_admin using (organization_id = acting_organization_id()) with check (organization_id = acting_organization_id());
grant select, insert on meters to tollbook_admin;
create policy admin_read on meters for select to tollbook_admin using (organization_id is null or organization_id = acting_organization_id());
create policy admin_write on meters for insert to tollbook_admin with check (organization_id = acting_organization_id());
grant select, update (label) on phone_numbers to tollbook_admin;
create policy admin on phone_numbers to tollbook_admin using (organization_id = acting_organization_id()) with check (organization_id = acting_organization_id());
grant select on provider_costs to tollbook_admin;
create policy admin on provider_costs for select to tollbook_admin using (organization_id = acting_organization_id() and bearer = 'organization');
grant select on provider_prices to tollbook_admin;
create policy admin on provider_prices for select to tollbook_admin using (organization_id = acting_organization_id() and bearer = 'organization');
grant select on provider_cost_days to tollbook_admin;
create policy admin on provider_cost_days for select to tollbook_admin using (organization_id = acting_organization_id() and bearer = 'organization');
-- The platform's costs stand in the ledger of its sale, which the organization's admin reads otherwise.
create policy admin_bearer on ledger_accounts as restrictive for select to tollbook_admin
    using (payer = 'customer' or kind not in ('provider_cost', 'provider_payable'));
create policy admin_bearer on ledger_entries as restrictive for select to tollbook_admin using (payer = 'customer' or not is_cost);
create policy admin_bearer on transfers as restrictive for select to tollbook_admin using (payer = 'customer' or not is_cost);
grant select on number_months to tollbook_admin;
create policy admin on number_months for select to tollbook_admin using (organization_id = acting_organization_id());
grant select, insert on rating_queue to tollbook_admin;
-- Who sells a plan lets usage go on that waited for it.
grant update (parked_at) on rating_queue to tollbook_admin;
create policy admin on rating_queue to tollbook_admin using (organization_id = acting_organization_id()) with check (organization_id = acting_organization_id());
-- What is let through, and what is held for it, is written by whoever has the payers' accounts.
grant select on call_authorizations, call_reservations to tollbook_admin;
create policy admin on call_authorizations for select to tollbook_admin using (organization_id = acting_organization_id());
create policy admin on call_reservations for select to tollbook_admin using (organization_id = acting_organization_id());
-- A book is brought in by the platform, for whoever may: it makes rows that only the platform writes.
grant select on imports, import_rows to tollbook_admin;
create policy admin on imports for select to tollbook_admin using (organization_id = acting_organization_id());
create policy admin on import_rows for select to tollbook_admin using (organization_id = acting_organization_id());
grant insert on live_events to tollbook_admin;
create policy admin on live_events for insert to tollbook_admin with check (organization_id = acting_organization_id());
grant select on organizations to tollbook_admin, tollbook_member, tollbook_portal;
grant update (name, country, zone, currency, rounding, invoice_grace, payment_terms_days, pay_per_call_invoicing, billing_mode, updated_at) on organizations to tollbook_admin;
create policy own on organizations to tollbook_admin, tollbook_member, tollbook_portal using (id = acting_organization_id()) with check (id = acting_organization_id());
create policy own on plans to tollbook_admin using (seller_id = acting_organization_id()) with check (seller_id = acting_organization_id());
create policy offered on plans for select to tollbook_admin using (seller_id = '00000000-0000-0000-0000-000000000000');
grant select, insert, update on plans to tollbook_admin;
create policy own on plan_versions to tollbook_admin using (seller_id = acting_organization_id()) with check (seller_id = acting_organization_id());
create policy offered on plan_versions for select to tollbook_admin using (seller_id = '00000000-0000-0000-0000-000000000000');
grant select, insert, update on plan_versions to tollbook_admin;
-- Only drafts go, and a plan that has no version left.
grant delete on plans, plan_versions to tollbook_admin;
create policy own on price_decks to tollbook_admin using (seller_id = acting_organization_id()) with check (seller_id = acting_organization_id());
grant select, insert, update on price_decks to tollbook_admin;
create policy own on deck_versions to tollbook_admin using (seller_id = acting_organization_id()) with check (seller_id = acting_organization_id());
create policy own on deck_entries to tollbook_admin using (seller_id = acting_organization_id()) with check (seller_id = acting_organization_id());
grant select, insert on deck_versions, deck_entries to tollbook_admin;

-- Names of colleagues; never a password hash.
grant select (id, email, name, zone, organization_ids, created_at, disabled_at) on users to tollbook_admin, tollbook_member;
create policy colleagues on users for select to tollbook_admin, tollbook_member using (acting_organization_id() = any (organization_ids));

-- Member: communications by viewer, customers of the organization, what the caller card shows.
do $$
declare
    table_name text;
begin
    foreach table_name in array array['calls', 'messages', 'voicemails', 'recordings', 'transcripts'] loop
        execute format('grant select on public.%I to tollbook_member', table_name);
        execute format('create policy member on public.%I for select to tollbook_member using (organization_id = acting_organization_id() and acting_user_id() = any (viewer_ids))', table_name);
    end loop;
    foreach table_name in array array['call_viewers', 'message_viewers', 'voicemail_viewers', 'assignments', 'memberships'] loop
        execute format('grant select on public.%I to tollbook_member', table_name);
        execute format('create policy member on public.%I for select to tollbook_member using (organization_id = acting_organization_id() and user_id = acting_user_id())', table_name);
    end loop;
    foreach table_name in array array['customers', 'contacts', 'customer_numbers', 'customer_notes', 'pay_per_call_terms'] loop
        execute format('grant select on public.%I to tollbook_member', table_name);
        execute format('create policy member on public.%I for select to tollbook_member using (organization_id = acting_organization_id())', table_name);
    end loop;
    foreach table_name in array array['accounts', 'subscriptions', 'subscription_segments', 'subscription_pauses', 'billing_periods', 'allowance_grants', 'tier_totals',
        'invoices'] loop
        execute format('grant select on public.%I to tollbook_member', table_name);
        execute format('create policy member on public.%I for select to tollbook_member using (organization_id = acting_organization_id() and payer = ''customer'')', table_name);
    end loop;
end
$$;
grant insert on customer_notes to tollbook_member;
create policy member_write on customer_notes for insert to tollbook_member
    with check (organization_id = acting_organization_id() and created_by = acting_user_id());
grant select on phone_numbers to tollbook_member;
create policy member on phone_numbers for select to tollbook_member
    using (organization_id = acting_organization_id() and acting_user_id() = any (viewer_ids));
grant select on search_terms to tollbook_member;
create policy member on search_terms for select to tollbook_member using (organization_id = acting_organization_id() and kind = 'customer');
grant select on plans, plan_versions to tollbook_member;
create policy member on plans for select to tollbook_member using (seller_id = acting_organization_id());
create policy member on plan_versions for select to tollbook_member using (seller_id = acting_organization_id());
-- What a call in progress costs follows from them.
grant select on price_decks, deck_versions, deck_entries to tollbook_member;
create policy member on price_decks for select to tollbook_member using (seller_id = acting_organization_id());
create policy member on deck_versions for select to tollbook_member using (seller_id = acting_organization_id());
create policy member on deck_entries for select to tollbook_member using (seller_id = acting_organization_id());

-- Portal: one customer's own.
create or replace function acting_customer_id() returns uuid
    language sql stable parallel safe
    return nullif(current_setting('tollbook.customer_id', true), '')::uuid;
do $$
declare
    table_name text;
begin
    foreach table_name in array array['calls', 'subscriptions', 'payments', 'payment_methods'] loop
        execute format('grant select on public.%I to tollbook_portal', table_name);
        execute format('create policy portal on public.%I for select to tollbook_portal using (organization_id = acting_organization_id() and customer_id = acting_customer_id())', table_name);
    end loop;
end
$$;
grant select on invoices to tollbook_portal;
create policy portal on invoices for select to tollbook_portal
    using (organization_id = acting_organization_id() and customer_id = acting_customer_id() and state <> 'draft');
grant select (organization_id, id, name, email, zone) on customers to tollbook_portal;
create policy portal on customers for select to tollbook_portal
    using (organization_id = acting_organization_id() and id = acting_customer_id());

-- Views name these tables beside others that the roles may read, and a view needs the right to each. Without a policy no
-- row of them is seen: what a communication cost the provider's bearer, and recordings in the portal, show as null.
grant select on provider_costs to tollbook_member, tollbook_portal;
grant select on recordings to tollbook_portal;

-- Ingest: group commit over many organizations; who may write was decided before. No other table, no other verb.
grant select, insert on inbox, inbox_keys, inbox_queue, usage_events, usage_counters, number_counters, rating_queue to tollbook_ingest;
grant update on usage_counters, number_counters to tollbook_ingest;
grant select, insert, update on webhook_rejections to tollbook_ingest;
grant select (organization_id, id, account_id) on customers to tollbook_ingest;
grant select (organization_id, id, payer) on accounts to tollbook_ingest;
grant select (organization_id, id, phone_number_id) on number_mappings to tollbook_ingest;
grant select (id, zone) on organizations to tollbook_ingest;
do $$
declare
    table_name text;
begin
    foreach table_name in array array['inbox', 'inbox_keys', 'inbox_queue', 'usage_events', 'usage_counters', 'number_counters',
        'rating_queue', 'webhook_rejections', 'customers', 'accounts', 'number_mappings', 'organizations'] loop
        execute format('create policy ingest on public.%I to tollbook_ingest using (true) with check (true)', table_name);
    end loop;
end
$$;

grant usage on all sequences in schema public to tollbook_platform, tollbook_admin, tollbook_ingest;

-- So that a node can tell whether the schema is its own.
do $$
begin
    if to_regclass('public._sqlx_migrations') is not null then
        grant select on _sqlx_migrations to tollbook_platform;
    end if;
end
$$;
