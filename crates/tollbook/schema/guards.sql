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
    foreach table_name in array array['usage_events', 'audit_log', 'payment_allocations', 'credit_note_lines', 'credit_note_taxes', 'recharges',
        'provider_prices', 'provider_cost_days', 'deck_versions', 'deck_entries', 'corrections', 'correction_items', 'correction_payers',
        'correction_credits'] loop
        execute format('create or replace trigger refuse_change before update or delete on public.%I for each statement execute function refuse_change()', table_name);
    end loop;
    foreach table_name in array array['call_events', 'inbox', 'live_events', 'charges', 'ledger_entries', 'transfers', 'wallet_movements', 'billing_periods',
        'import_rows'] loop
        execute format('create or replace trigger refuse_change before update on public.%I for each statement execute function refuse_change()', table_name);
    end loop;
    foreach table_name in array array['calls', 'number_mappings', 'phone_numbers', 'organizations', 'users',
        'call_authorizations', 'call_reservations'] loop
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

-- The entries of a deck's version come with it: nothing is added to what was in force.
create or replace function guard_deck_entries() returns trigger language plpgsql as $$
begin
    if exists (select from (select distinct seller_id, version_id from added) a
        join deck_versions v on v.seller_id = a.seller_id and v.id = a.version_id where v.created_at <> now()) then
        raise exception 'a version of a deck is whole' using errcode = 'restrict_violation', constraint = 'deck_entries_append_only';
    end if;
    return null;
end
$$;
create or replace trigger guard after insert on deck_entries referencing new table as added for each statement execute function guard_deck_entries();

-- Of what a subscription was on, and when it paused, only the end is set.
create or replace function guard_stretch() returns trigger language plpgsql as $$
begin
    if (to_jsonb(old) - 'ends_at') is distinct from (to_jsonb(new) - 'ends_at') then
        raise exception '% % cannot change', tg_table_name, old.id using errcode = 'restrict_violation', constraint = tg_table_name || '_immutable';
    end if;
    return new;
end
$$;
create or replace trigger guard before update on subscription_segments for each row execute function guard_stretch();
create or replace trigger guard before update on subscription_pauses for each row execute function guard_stretch();

-- A finalized invoice cannot change: only what is paid or credited, and the state that follows from it.
create or replace function guard_invoice() returns trigger language plpgsql as $$
declare
    forward constant jsonb := '{"draft": ["draft", "finalized"], "finalized": ["finalized", "paid", "void", "uncollectible"],
        "paid": ["paid", "finalized"], "void": ["void"], "uncollectible": ["uncollectible", "paid", "void"]}';
    -- The seller is generated, and so not yet known before the update; it follows from what may not change.
    mutable constant text[] := array['state', 'paid_minor', 'credited_minor', 'void_reason', 'updated_at', 'seller_id'];
begin
    if tg_op = 'DELETE' then
        if old.state <> 'draft' and not (old.kind = 'opening' and exists (
                select from import_rows i join imports m on m.organization_id = i.organization_id and m.id = i.import_id
                where m.is_undoing and i.organization_id = old.organization_id and i.row_id = old.id)) then
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

-- Lines and taxes are written by the thousand, so those that are added are looked at together.
create or replace function guard_invoice_parts() returns trigger language plpgsql security definer set search_path = public as $$
declare
    closed uuid;
begin
    select a.invoice_id into closed from (select distinct organization_id, invoice_id from added) a
        where exists (select from invoices i where i.organization_id = a.organization_id and i.id = a.invoice_id and i.state <> 'draft' offset 0)
        limit 1;
    if found then
        raise exception 'invoice % is finalized', closed using errcode = 'restrict_violation', constraint = 'invoices_immutable';
    end if;
    return null;
end
$$;
create or replace trigger guard_added after insert on invoice_lines
    referencing new table as added for each statement execute function guard_invoice_parts();
create or replace trigger guard_added after insert on invoice_taxes
    referencing new table as added for each statement execute function guard_invoice_parts();
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
create or replace trigger guard before update or delete on invoice_lines for each row execute function guard_invoice_part();
create or replace trigger guard before update or delete on invoice_taxes for each row execute function guard_invoice_part();

-- Whose sale a row belongs to follows from its parent. Row-level security looks at what is written here. Where rows are
-- written by the thousand their writer says it, and a foreign key refuses what is not so.
create or replace function keep_payer() returns trigger language plpgsql security definer set search_path = public as $$
begin
    case tg_argv[0]
        when 'subscription' then
            select p.payer into new.payer from subscriptions p where p.organization_id = new.organization_id and p.id = new.subscription_id;
        when 'account' then
            select p.payer into new.payer from accounts p where p.organization_id = new.organization_id and p.id = new.account_id;
        when 'grant' then
            select p.payer into new.payer from allowance_grants p where p.organization_id = new.organization_id and p.id = new.grant_id;
        when 'wallet' then
            select p.payer into new.payer from wallets p where p.organization_id = new.organization_id and p.id = new.wallet_id;
        when 'invoice' then
            select p.payer into new.payer from invoices p where p.organization_id = new.organization_id and p.id = new.invoice_id;
        when 'payment' then
            select p.payer into new.payer from payments p where p.organization_id = new.organization_id and p.id = new.payment_id;
        when 'document' then
            select p.payer into new.payer from invoices p where p.organization_id = new.organization_id and p.id = new.document_id;
        when 'credit_note' then
            select p.payer into new.payer from credit_notes p where p.organization_id = new.organization_id and p.id = new.credit_note_id;
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
    for child in select *, case when name in ('billing_periods', 'allowance_grants', 'invoice_lines', 'invoice_taxes', 'transfers')
            then 'when (new.payer is null)' else '' end as condition
        from (values ('subscription_segments', 'subscription'), ('subscription_pauses', 'subscription'), ('billing_periods', 'subscription'), ('allowance_grants', 'account'),
        ('tier_totals', 'account'), ('allowance_forfeits', 'grant'), ('wallets', 'account'), ('wallet_movements', 'wallet'), ('wallet_lots', 'wallet'), ('invoice_lines', 'invoice'), ('invoice_taxes', 'invoice'),
        ('payment_allocations', 'payment'), ('credit_note_lines', 'credit_note'), ('credit_note_taxes', 'credit_note'), ('recharges', 'document'), ('transfers', 'entry')) as c (name, parent) loop
        execute format('create or replace trigger keep_payer before insert on public.%I for each row %s execute function keep_payer(%L)', child.name, child.condition, child.parent);
    end loop;
end
$$;

-- A payment stays as it was recorded. What takes it back does so whole, once, when it pays nothing any more.
create or replace function guard_payment() returns trigger language plpgsql security definer set search_path = public as $$
declare
    mutable constant text[] := array['state', 'allocated_minor'];
    forward constant jsonb := '{"pending": ["pending", "succeeded", "failed"], "succeeded": ["succeeded", "refunded"],
        "failed": ["failed"], "refunded": ["refunded"]}';
begin
    if tg_op = 'INSERT' then
        if new.reverses_id is not null then
            perform from payments p where p.organization_id = new.organization_id and p.id = new.reverses_id and p.reverses_id is null
                and p.state = 'succeeded' and p.allocated_minor = 0 and p.amount_minor = -new.amount_minor
                and (p.payer, p.channel, p.currency) = (new.payer, new.channel, new.currency) and p.customer_id is not distinct from new.customer_id
                for no key update;
            if not found then
                raise exception 'payment % is not taken back by this', new.reverses_id using errcode = 'restrict_violation', constraint = 'payments_reversal';
            end if;
        end if;
        return new;
    end if;
    if tg_op = 'DELETE' or (to_jsonb(old) - mutable) is distinct from (to_jsonb(new) - mutable) or not forward -> old.state ? new.state then
        raise exception 'payment % cannot change', old.id using errcode = 'restrict_violation', constraint = 'payments_immutable';
    end if;
    return new;
end
$$;
create or replace trigger guard before insert or update or delete on payments for each row execute function guard_payment();

-- What a payment pays is kept on it and on the invoice, where checks refuse too much: never more than the payment has or
-- the invoice leaves open, and back no more than was given. An invoice is paid exactly when nothing of it is open.
create or replace function guard_allocation() returns trigger language plpgsql security definer set search_path = public as $$
declare
    invoice record;
    payment record;
begin
    select i.payer, i.customer_id, i.currency, i.state, i.total_minor - i.paid_minor - i.credited_minor as open_minor into invoice
        from invoices i where i.organization_id = new.organization_id and i.id = new.invoice_id for no key update;
    if not found or invoice.state not in ('finalized', 'paid', 'uncollectible') then
        raise exception 'invoice % takes no payment', new.invoice_id using errcode = 'restrict_violation', constraint = 'payment_allocations_invoice_state';
    end if;
    if new.amount_minor > invoice.open_minor then
        raise exception 'invoice % does not leave so much open', new.invoice_id using errcode = 'restrict_violation', constraint = 'payment_allocations_open';
    end if;
    select p.payer, p.customer_id, p.currency, p.state, p.reverses_id,
        exists (select from payments r where r.organization_id = p.organization_id and r.reverses_id = p.id) as is_reversed into payment
        from payments p where p.organization_id = new.organization_id and p.id = new.payment_id for no key update;
    if not found or payment.state <> 'succeeded' or payment.reverses_id is not null or payment.is_reversed
        or (payment.payer, payment.currency) <> (invoice.payer, invoice.currency) or payment.customer_id is distinct from invoice.customer_id then
        raise exception 'payment % does not pay invoice %', new.payment_id, new.invoice_id using errcode = 'foreign_key_violation', constraint = 'payment_allocations_payment';
    end if;
    if new.amount_minor < 0 and -new.amount_minor > (select coalesce(sum(a.amount_minor), 0) from payment_allocations a
            where a.organization_id = new.organization_id and a.payment_id = new.payment_id and a.invoice_id = new.invoice_id) then
        raise exception 'payment % does not pay so much of invoice %', new.payment_id, new.invoice_id
            using errcode = 'restrict_violation', constraint = 'payment_allocations_taken_back';
    end if;
    update payments set allocated_minor = allocated_minor + new.amount_minor where organization_id = new.organization_id and id = new.payment_id;
    update invoices i set paid_minor = i.paid_minor + new.amount_minor, updated_at = now(),
            state = case when invoice.open_minor - new.amount_minor <= 0 then 'paid' when i.state = 'uncollectible' then i.state else 'finalized' end
        where i.organization_id = new.organization_id and i.id = new.invoice_id;
    return new;
end
$$;
create or replace trigger guard before insert on payment_allocations for each row execute function guard_allocation();

-- What stands on accounts of credit, added up as transfers are written. Accounts are locked in the order of their keys.
create or replace function keep_credit() returns trigger language plpgsql security definer set search_path = public as $$
begin
    perform from ledger_accounts a
        where a.kind = 'customer_credit' and (a.organization_id, a.id) in
            (select organization_id, credit_account_id from added union select organization_id, debit_account_id from added)
        order by a.organization_id, a.id for no key update;
    if found then
        update ledger_accounts a set credit_minor = a.credit_minor + m.minor
            from (
                select t.organization_id, t.account_id, sum(t.minor)::bigint as minor
                from (select organization_id, credit_account_id as account_id, amount_minor as minor from added
                    union all select organization_id, debit_account_id, -amount_minor from added) t
                group by t.organization_id, t.account_id
            ) m
            where a.organization_id = m.organization_id and a.id = m.account_id and a.kind = 'customer_credit';
    end if;
    return null;
end
$$;
create or replace trigger keep_credit after insert on transfers referencing new table as added for each statement execute function keep_credit();

-- Credit never exceeds the invoice: the sum is kept on the invoice, where a check refuses it.
create or replace function guard_credit_note() returns trigger language plpgsql security definer set search_path = public as $$
begin
    if tg_op <> 'INSERT' then
        raise exception 'credit note % cannot change', old.number using errcode = 'restrict_violation', constraint = 'credit_notes_immutable';
    end if;
    update invoices set credited_minor = credited_minor + new.total_minor, updated_at = now(),
            state = case when paid_minor + credited_minor + new.total_minor >= total_minor then 'paid' else state end
        where organization_id = new.organization_id and id = new.invoice_id and state in ('finalized', 'paid') and currency = new.currency;
    if not found then
        raise exception 'invoice % takes no credit note', new.invoice_id using errcode = 'restrict_violation', constraint = 'credit_notes_invoice_state';
    end if;
    return new;
end
$$;
create or replace trigger guard before insert or update or delete on credit_notes for each row execute function guard_credit_note();

-- Nor does it of a line or a rate: the invoice's row, which the credit note has locked, keeps others from adding meanwhile.
create or replace function guard_credit_note_line() returns trigger language plpgsql security definer set search_path = public as $$
declare
    line_minor bigint;
    given_minor bigint;
begin
    select l.amount_minor into line_minor from invoice_lines l
        join credit_notes n on n.organization_id = l.organization_id and n.invoice_id = l.invoice_id
        where l.organization_id = new.organization_id and l.id = new.invoice_line_id and n.id = new.credit_note_id;
    if not found then
        raise exception 'line % is not of the invoice', new.invoice_line_id using errcode = 'foreign_key_violation', constraint = 'credit_note_lines_invoice_line_id_fkey';
    end if;
    select new.amount_minor + coalesce(sum(c.amount_minor), 0) into given_minor from credit_note_lines c
        where c.organization_id = new.organization_id and c.invoice_line_id = new.invoice_line_id;
    if given_minor not between least(line_minor, 0) and greatest(line_minor, 0) then
        raise exception 'line % does not have so much left', new.invoice_line_id using errcode = 'restrict_violation', constraint = 'credit_note_lines_left';
    end if;
    return new;
end
$$;
create or replace trigger guard before insert on credit_note_lines for each row execute function guard_credit_note_line();

create or replace function guard_credit_note_tax() returns trigger language plpgsql security definer set search_path = public as $$
declare
    invoice_tax record;
begin
    select x.tax_minor, n.invoice_id into invoice_tax from credit_notes n
        join invoice_taxes x on x.organization_id = n.organization_id and x.invoice_id = n.invoice_id
            and x.percent = new.percent and x.inclusive = new.inclusive
        where n.organization_id = new.organization_id and n.id = new.credit_note_id;
    if not found or new.tax_minor + (select coalesce(sum(c.tax_minor), 0) from credit_note_taxes c
            join credit_notes n on n.organization_id = c.organization_id and n.id = c.credit_note_id
            where c.organization_id = new.organization_id and n.invoice_id = invoice_tax.invoice_id
                and c.percent = new.percent and c.inclusive = new.inclusive)
            not between least(invoice_tax.tax_minor, 0) and greatest(invoice_tax.tax_minor, 0) then
        raise exception 'the tax of % percent does not have so much left', new.percent using errcode = 'restrict_violation', constraint = 'credit_note_taxes_left';
    end if;
    return new;
end
$$;
create or replace trigger guard before insert on credit_note_taxes for each row execute function guard_credit_note_tax();

-- A credit note is the sum of its parts, which are written with it and never after it.
create or replace function check_credit_note() returns trigger language plpgsql security definer set search_path = public as $$
declare
    note_id uuid := case tg_argv[0] when 'note' then (to_jsonb(new) ->> 'id')::uuid else (to_jsonb(new) ->> 'credit_note_id')::uuid end;
begin
    perform from credit_notes n
        cross join lateral (select coalesce(sum(l.amount_minor), 0) as minor from credit_note_lines l
            where l.organization_id = n.organization_id and l.credit_note_id = n.id) l
        cross join lateral (select coalesce(sum(x.tax_minor), 0) as minor, coalesce(sum(x.tax_minor) filter (where not x.inclusive), 0) as added
            from credit_note_taxes x where x.organization_id = n.organization_id and x.credit_note_id = n.id) x
        where n.organization_id = new.organization_id and n.id = note_id and (n.total_minor <> l.minor + x.added or n.tax_minor <> x.minor);
    if found then
        raise exception 'credit note % is not the sum of its parts', note_id using errcode = 'restrict_violation', constraint = 'credit_notes_parts';
    end if;
    return null;
end
$$;
do $$
declare
    part record;
begin
    for part in select * from (values ('credit_notes', 'note'), ('credit_note_lines', 'part'), ('credit_note_taxes', 'part')) as p (name, kind) loop
        execute format('drop trigger if exists check_parts on public.%I', part.name);
        execute format('create constraint trigger check_parts after insert on public.%I deferrable initially deferred
            for each row execute function check_credit_note(%L)', part.name, part.kind);
    end loop;
end
$$;

-- The charges of a void invoice are gathered again by a draft of the same payer, and by no two documents that count.
create or replace function guard_recharge() returns trigger language plpgsql security definer set search_path = public as $$
declare
    voided record;
begin
    select i.payer, i.customer_id, i.currency into voided from invoices i
        where i.organization_id = new.organization_id and i.id = new.void_invoice_id and i.state = 'void' for no key update;
    if found then
        perform from invoices i where i.organization_id = new.organization_id and i.id = new.document_id and i.state = 'draft'
            and (i.payer, i.currency) = (voided.payer, voided.currency) and i.customer_id is not distinct from voided.customer_id for share;
    end if;
    if not found then
        raise exception 'document % does not gather the charges of invoice %', new.document_id, new.void_invoice_id
            using errcode = 'restrict_violation', constraint = 'recharges_draft';
    end if;
    perform from recharges r join invoices i on i.organization_id = r.organization_id and i.id = r.document_id
        where r.organization_id = new.organization_id and r.void_invoice_id = new.void_invoice_id and i.state <> 'void';
    if found then
        raise exception 'the charges of invoice % are gathered again already', new.void_invoice_id
            using errcode = 'restrict_violation', constraint = 'recharges_once';
    end if;
    return new;
end
$$;
create or replace trigger guard before insert on recharges for each row execute function guard_recharge();

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

-- A call that is let through may last longer, never shorter, until it is given back.
create or replace function guard_authorization() returns trigger language plpgsql as $$
begin
    if old.released_at is not null or new.seconds < old.seconds
        or (to_jsonb(old) - array['seconds', 'expires_at', 'released_at']) is distinct from (to_jsonb(new) - array['seconds', 'expires_at', 'released_at']) then
        raise exception 'authorization % cannot change', old.id using errcode = 'restrict_violation', constraint = 'call_authorizations_immutable';
    end if;
    return new;
end
$$;
create or replace trigger guard before update on call_authorizations for each row execute function guard_authorization();

-- What is held for a call is held once: what is closed stays closed.
create or replace function guard_reservation() returns trigger language plpgsql as $$
begin
    if old.state <> 'open'
        or (to_jsonb(old) - array['amount', 'cap_currency', 'expires_at', 'state', 'closed_at'])
            is distinct from (to_jsonb(new) - array['amount', 'cap_currency', 'expires_at', 'state', 'closed_at']) then
        raise exception 'reservation of authorization % cannot change', old.authorization_id
            using errcode = 'restrict_violation', constraint = 'call_reservations_immutable';
    end if;
    return new;
end
$$;
create or replace trigger guard before update on call_reservations for each row execute function guard_reservation();

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
    perform from (select distinct organization_id, provider_price_id from added where provider_price_id is not null) c
        where not exists (select from provider_prices p where p.organization_id = c.organization_id and p.id = c.provider_price_id offset 0);
    if found then
        raise exception 'unknown price of a provider' using errcode = 'foreign_key_violation', constraint = 'charges_provider_price_id_fkey';
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

-- A day whose costs are in the ledger is over: no price becomes known on it any more.
create or replace function guard_price_day() returns trigger language plpgsql security definer set search_path = public as $$
begin
    perform from (select distinct organization_id, (known_at at time zone 'UTC')::date as day from added) d
        join cost_postings p on p.organization_id = d.organization_id and p.posted_until > d.day;
    if found then
        raise exception 'the day of a price is posted already' using errcode = 'restrict_violation', constraint = 'provider_prices_day_posted';
    end if;
    return null;
end
$$;
create or replace trigger guard_day after insert on provider_prices
    referencing new table as added for each statement execute function guard_price_day();

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
