-- Rules that hold whoever writes, the owner included. Applied after the migrations; repeatable.

-- What was said stays said.
create or replace function refuse_change() returns trigger language plpgsql as $$
begin
    raise exception '% is append-only', tg_table_name using errcode = 'restrict_violation', constraint = tg_table_name || '_append_only';
end
$$;
do $$
declare
    table_name text;
begin
    foreach table_name in array array['usage_events', 'charges', 'ledger_entries', 'transfers', 'audit_log', 'wallet_movements', 'billing_periods'] loop
        execute format('create or replace trigger refuse_change before update or delete on public.%I for each statement execute function refuse_change()', table_name);
    end loop;
    foreach table_name in array array['call_events', 'inbox', 'live_events'] loop
        execute format('create or replace trigger refuse_change before update on public.%I for each statement execute function refuse_change()', table_name);
    end loop;
    foreach table_name in array array['customers', 'accounts', 'calls', 'number_mappings', 'phone_numbers', 'subscriptions', 'organizations', 'users'] loop
        execute format('create or replace trigger refuse_delete before delete on public.%I for each statement execute function refuse_change()', table_name);
    end loop;
end
$$;

-- A published plan version is what subscribers agreed to.
create or replace function guard_plan_version() returns trigger language plpgsql as $$
begin
    if old.state = 'published' then
        raise exception 'plan version % is published', old.id using errcode = 'restrict_violation', constraint = 'plan_versions_immutable';
    end if;
    return case tg_op when 'DELETE' then old else new end;
end
$$;
create or replace trigger guard before update or delete on plan_versions for each row execute function guard_plan_version();

-- A finalized invoice cannot change: only what is paid or credited, and the state that follows from it.
create or replace function guard_invoice() returns trigger language plpgsql as $$
declare
    forward constant jsonb := '{"draft": ["draft", "finalized"], "finalized": ["finalized", "paid", "void", "uncollectible"],
        "paid": ["paid", "finalized"], "void": ["void"], "uncollectible": ["uncollectible", "paid", "void"]}';
    -- The seller is generated, and so not yet known before the update; it follows from what may not change.
    mutable constant text[] := array['state', 'paid_minor', 'credited_minor', 'updated_at', 'seller_id'];
begin
    if tg_op = 'DELETE' then
        if old.state <> 'draft' then
            raise exception 'invoice % is finalized', old.number using errcode = 'restrict_violation', constraint = 'invoices_immutable';
        end if;
        return old;
    end if;
    if not forward -> old.state ? new.state then
        raise exception 'an invoice that is % cannot become %', old.state, new.state using errcode = 'restrict_violation', constraint = 'invoices_state_forward';
    end if;
    if old.state <> 'draft' and (to_jsonb(old) - mutable) is distinct from (to_jsonb(new) - mutable) then
        raise exception 'invoice % is finalized', old.number using errcode = 'restrict_violation', constraint = 'invoices_immutable';
    end if;
    return new;
end
$$;
create or replace trigger guard before update or delete on invoices for each row execute function guard_invoice();

create or replace function guard_invoice_part() returns trigger language plpgsql security definer set search_path = public as $$
declare
    part record;
begin
    if tg_op = 'DELETE' then part := old; else part := new; end if;
    if exists (select from invoices i where i.organization_id = part.organization_id and i.id = part.invoice_id and i.state <> 'draft') then
        raise exception 'invoice % is finalized', part.invoice_id using errcode = 'restrict_violation', constraint = 'invoices_immutable';
    end if;
    return part;
end
$$;
create or replace trigger guard before insert or update or delete on invoice_lines for each row execute function guard_invoice_part();
create or replace trigger guard before insert or update or delete on invoice_taxes for each row execute function guard_invoice_part();

-- Whose sale a row belongs to follows from its parent. Row-level security looks at what is written here.
create or replace function keep_payer() returns trigger language plpgsql security definer set search_path = public as $$
begin
    case tg_argv[0]
        when 'subscription' then
            select p.payer into new.payer from subscriptions p where p.organization_id = new.organization_id and p.id = new.subscription_id;
        when 'account' then
            select p.payer into new.payer from accounts p where p.organization_id = new.organization_id and p.id = new.account_id;
        when 'wallet' then
            select p.payer into new.payer from wallets p where p.organization_id = new.organization_id and p.id = new.wallet_id;
        when 'invoice' then
            select p.payer into new.payer from invoices p where p.organization_id = new.organization_id and p.id = new.invoice_id;
        when 'payment' then
            select p.payer into new.payer from payments p where p.organization_id = new.organization_id and p.id = new.payment_id;
        when 'entry' then
            select p.payer into new.payer from ledger_entries p where p.organization_id = new.organization_id and p.id = new.entry_id;
    end case;
    if new.payer is null then
        raise exception 'unknown %', tg_argv[0] using errcode = 'foreign_key_violation', constraint = format('%s_%s_id_fkey', tg_table_name, tg_argv[0]);
    end if;
    return new;
end
$$;
do $$
declare
    child record;
begin
    for child in select * from (values ('subscription_segments', 'subscription'), ('billing_periods', 'subscription'), ('allowance_grants', 'account'),
        ('tier_totals', 'account'), ('wallets', 'account'), ('wallet_movements', 'wallet'), ('wallet_lots', 'wallet'), ('invoice_lines', 'invoice'), ('invoice_taxes', 'invoice'),
        ('payment_allocations', 'payment'), ('transfers', 'entry')) as c (name, parent) loop
        execute format('create or replace trigger keep_payer before insert on public.%I for each row execute function keep_payer(%L)', child.name, child.parent);
    end loop;
end
$$;

-- Credit never exceeds the invoice: the sum is kept on the invoice, where a check refuses it.
create or replace function guard_credit_note() returns trigger language plpgsql security definer set search_path = public as $$
begin
    if tg_op <> 'INSERT' then
        raise exception 'credit note % cannot change', old.number using errcode = 'restrict_violation', constraint = 'credit_notes_immutable';
    end if;
    update invoices set credited_minor = credited_minor + new.total_minor, updated_at = now()
        where organization_id = new.organization_id and id = new.invoice_id and state in ('finalized', 'paid') and currency = new.currency;
    if not found then
        raise exception 'invoice % takes no credit note', new.invoice_id using errcode = 'restrict_violation', constraint = 'credit_notes_invoice_state';
    end if;
    return new;
end
$$;
create or replace trigger guard before insert or update or delete on credit_notes for each row execute function guard_credit_note();

-- A call's state only moves forward, unless another leg of it became known.
create or replace function guard_call() returns trigger language plpgsql as $$
declare
    rank constant jsonb := '{"queued": 0, "ringing": 1, "in_progress": 2, "ended": 3}';
begin
    if (rank -> new.state)::int < (rank -> old.state)::int and new.leg_count <= old.leg_count then
        raise exception 'a call that is % cannot become %', old.state, new.state using errcode = 'restrict_violation', constraint = 'calls_state_forward';
    end if;
    return new;
end
$$;
create or replace trigger guard before update of state on calls for each row execute function guard_call();

-- A mapping is history: only its end may be set.
create or replace function guard_mapping() returns trigger language plpgsql as $$
begin
    if (to_jsonb(old) - array['ends_at', 'metadata', 'number_type']) is distinct from (to_jsonb(new) - array['ends_at', 'metadata', 'number_type']) then
        raise exception 'a number mapping cannot change' using errcode = 'restrict_violation', constraint = 'number_mappings_immutable';
    end if;
    return new;
end
$$;
create or replace trigger guard before update on number_mappings for each row execute function guard_mapping();

-- Who holds a number now, and who may use it, as data on the row (policies contain no subqueries). The row is locked
-- before mappings and assignments are read, so that of two writers the second sees what the first wrote.
create or replace function keep_number() returns trigger language plpgsql security definer set search_path = public as $$
declare
    number_id uuid := case tg_op when 'DELETE' then old.phone_number_id else new.phone_number_id end;
    holder_id uuid;
begin
    perform from phone_numbers n where n.id = number_id for no key update;
    select m.organization_id into holder_id from number_mappings m where m.phone_number_id = number_id and m.ends_at is null;
    update phone_numbers n set organization_id = holder_id, viewer_ids = coalesce((select array_agg(a.user_id order by a.user_id) from assignments a
            where a.phone_number_id = number_id and a.organization_id = holder_id and a.ends_at is null), '{}')
        where n.id = number_id;
    return null;
end
$$;
create or replace trigger keep_number after insert or update on number_mappings for each row execute function keep_number();
create or replace trigger keep_number after insert or update or delete on assignments for each row execute function keep_number();

create or replace function keep_user_organizations() returns trigger language plpgsql security definer set search_path = public as $$
declare
    member_id uuid := case tg_op when 'DELETE' then old.user_id else new.user_id end;
begin
    perform from users u where u.id = member_id for no key update;
    update users set organization_ids = coalesce((select array_agg(m.organization_id order by m.organization_id) from memberships m where m.user_id = member_id), '{}')
        where id = member_id;
    return null;
end
$$;
create or replace trigger keep_user_organizations after insert or update or delete on memberships for each row execute function keep_user_organizations();

-- Hot tables have no per-row foreign keys; one statement trigger refuses what does not exist. Each is looked
-- up by itself (`offset 0`): a plan that joins reads a whole table for a handful of rows.
create or replace function guard_usage_references() returns trigger language plpgsql security definer set search_path = public as $$
declare
    missing record;
    given record;
begin
    -- Most events name few of these: what none names is not looked for.
    select count(customer_id) as customers, count(mapping_id) as mappings, count(user_id) as users, count(call_id) as calls,
        count(corrects_id) as corrections
    into given from added;
    select e.organization_id, e.meter into missing from (select distinct organization_id, meter from added) e
        where not exists (select from meters m where m.code = e.meter and (m.organization_id is null or m.organization_id = e.organization_id) offset 0) limit 1;
    if found then
        raise exception 'unknown meter %', missing.meter using errcode = 'foreign_key_violation', constraint = 'usage_events_meter_fkey';
    end if;
    perform from (select distinct organization_id from added) e where not exists (select from organizations o where o.id = e.organization_id offset 0);
    if found then
        raise exception 'unknown organization' using errcode = 'foreign_key_violation', constraint = 'usage_events_organization_id_fkey';
    end if;
    if given.customers > 0 then
        perform from (select distinct organization_id, customer_id from added where customer_id is not null) e
            where not exists (select from customers c where c.organization_id = e.organization_id and c.id = e.customer_id offset 0);
        if found then
            raise exception 'unknown customer' using errcode = 'foreign_key_violation', constraint = 'usage_events_customer_id_fkey';
        end if;
    end if;
    if given.mappings > 0 then
        perform from (select distinct organization_id, mapping_id from added where mapping_id is not null) e
            where not exists (select from number_mappings m where m.organization_id = e.organization_id and m.id = e.mapping_id offset 0);
        if found then
            raise exception 'unknown number mapping' using errcode = 'foreign_key_violation', constraint = 'usage_events_mapping_id_fkey';
        end if;
    end if;
    if given.users > 0 then
        perform from (select distinct organization_id, user_id from added where user_id is not null) e
            where not exists (select from memberships m where m.organization_id = e.organization_id and m.user_id = e.user_id offset 0);
        if found then
            raise exception 'unknown user' using errcode = 'foreign_key_violation', constraint = 'usage_events_user_id_fkey';
        end if;
    end if;
    if given.calls > 0 then
        perform from (select distinct organization_id, call_id from added where call_id is not null) e
            where not exists (select from calls c where c.organization_id = e.organization_id and c.id = e.call_id offset 0);
        if found then
            raise exception 'unknown call' using errcode = 'foreign_key_violation', constraint = 'usage_events_call_id_fkey';
        end if;
    end if;
    if given.corrections > 0 then
        perform from added e where e.corrects_id is not null
            and not exists (select from usage_events u where u.organization_id = e.organization_id and u.id = e.corrects_id and u.meter = e.meter offset 0);
        if found then
            raise exception 'unknown usage event to correct' using errcode = 'foreign_key_violation', constraint = 'usage_events_corrects_id_fkey';
        end if;
    end if;
    return null;
end
$$;
create or replace trigger guard_references after insert on usage_events
    referencing new table as added for each statement execute function guard_usage_references();

-- Before the platform first sells to an organization, its usage is not queued for the platform. Whoever makes the account
-- waits for the usage that is on its way, and nobody adds any until the account is there: none is left out.
create or replace function hold_usage() returns void language sql security definer set search_path = public as $$
    lock table usage_events in share mode
$$;
revoke execute on function hold_usage() from public;
grant execute on function hold_usage() to tollbook_platform;

-- Charges go on drafts only. The share lock makes a finalization wait for the charges under way, and the other way round.
create or replace function guard_charge_references() returns trigger language plpgsql security definer set search_path = public as $$
begin
    perform from (select distinct organization_id, invoice_id from added where invoice_id is not null order by organization_id, invoice_id) c
        cross join lateral (
            select from invoices i where i.organization_id = c.organization_id and i.id = c.invoice_id offset 0 for share
        ) i;
    perform from (select distinct organization_id, invoice_id, payer, customer_id, currency from added where invoice_id is not null) c
        where not exists (select from invoices i where i.organization_id = c.organization_id and i.id = c.invoice_id and i.state = 'draft'
            and i.payer = c.payer and i.customer_id is not distinct from c.customer_id and i.currency = c.currency offset 0);
    if found then
        raise exception 'a charge needs a draft invoice of its payer' using errcode = 'foreign_key_violation', constraint = 'charges_invoice_id_fkey';
    end if;
    perform from (select distinct organization_id, account_id, payer from added) c
        where not exists (select from accounts a where a.organization_id = c.organization_id and a.id = c.account_id and a.payer = c.payer offset 0);
    if found then
        raise exception 'unknown account' using errcode = 'foreign_key_violation', constraint = 'charges_account_id_fkey';
    end if;
    perform from (select distinct organization_id, usage_event_id from added where usage_event_id is not null) c
        where not exists (select from usage_events u where u.organization_id = c.organization_id and u.id = c.usage_event_id offset 0);
    if found then
        raise exception 'unknown usage event' using errcode = 'foreign_key_violation', constraint = 'charges_usage_event_id_fkey';
    end if;
    perform from (select distinct organization_id, period_id from added where period_id is not null) c
        where not exists (select from billing_periods p where p.organization_id = c.organization_id and p.id = c.period_id offset 0);
    if found then
        raise exception 'unknown period' using errcode = 'foreign_key_violation', constraint = 'charges_period_id_fkey';
    end if;
    perform from (select distinct organization_id, grant_id from added where grant_id is not null) c
        where not exists (select from allowance_grants g where g.organization_id = c.organization_id and g.id = c.grant_id offset 0);
    if found then
        raise exception 'unknown grant' using errcode = 'foreign_key_violation', constraint = 'charges_grant_id_fkey';
    end if;
    perform from (select distinct seller_id, plan_version_id from added where plan_version_id is not null) c
        where not exists (select from plan_versions v where v.seller_id = c.seller_id and v.id = c.plan_version_id offset 0);
    if found then
        raise exception 'unknown plan version' using errcode = 'foreign_key_violation', constraint = 'charges_plan_version_id_fkey';
    end if;
    perform from added c where c.reverses_id is not null and not exists (select from charges o where o.organization_id = c.organization_id
        and o.id = c.reverses_id and o.usage_event_id is not distinct from c.usage_event_id and o.account_id = c.account_id
        and o.amount_numerator = -c.amount_numerator and o.amount_denominator = c.amount_denominator offset 0);
    if found then
        raise exception 'a reversal must undo its charge exactly' using errcode = 'foreign_key_violation', constraint = 'charges_reverses_id_fkey';
    end if;
    return null;
end
$$;
create or replace trigger guard_references after insert on charges
    referencing new table as added for each statement execute function guard_charge_references();

-- The month's partition of the inbox must exist before its first webhook.
create or replace function ensure_inbox_partitions(at timestamptz) returns void
    language plpgsql security definer set search_path = public as $$
declare
    month timestamptz;
    partition_name text;
begin
    for step in 0..2 loop
        month := date_trunc('month', at at time zone 'UTC') at time zone 'UTC' + make_interval(months => step);
        partition_name := 'inbox_' || to_char(month at time zone 'UTC', 'YYYYMM');
        if to_regclass(partition_name) is null then
            execute format('create table %I partition of inbox for values from (%L) to (%L)', partition_name, month, month + interval '1 month');
            execute format('alter table %I enable row level security', partition_name);
        end if;
    end loop;
end
$$;
revoke execute on function ensure_inbox_partitions(timestamptz) from public;
select ensure_inbox_partitions(now());
grant execute on function ensure_inbox_partitions(timestamptz) to tollbook_platform;
