-- What organizations bring along from another system can be taken back, whoever asks only as a whole. Applied after the
-- migrations; repeatable.

-- What an import made goes away when it is taken back, and nothing else does: while that happens, and only then, a row is
-- removed that names a row of the import. Nobody else sees that it happens.
create or replace function refuse_removal() returns trigger language plpgsql security definer set search_path = public as $$
begin
    perform from imports m where m.is_undoing;
    if not found then
        raise exception '% is append-only', tg_table_name using errcode = 'restrict_violation', constraint = tg_table_name || '_append_only';
    end if;
    return null;
end
$$;
create or replace function guard_removed() returns trigger language plpgsql security definer set search_path = public as $$
declare
    stranger text;
begin
    select g.gone ->> 'id' into stranger from (
            select to_jsonb(r) as gone, case when tg_table_name = 'transfers'
                then (select e.document_id from ledger_entries e where e.organization_id = r.organization_id and e.id = (to_jsonb(r) ->> 'entry_id')::uuid)
                else (to_jsonb(r) ->> tg_argv[0])::uuid end as made_id
            from removed r
        ) g
        where g.gone ->> 'usage_event_id' is not null or not exists (
            select from import_rows i join imports m on m.organization_id = i.organization_id and m.id = i.import_id
            where m.is_undoing and i.organization_id = (g.gone ->> 'organization_id')::uuid and i.row_id = g.made_id)
        limit 1;
    if found then
        raise exception '% % is of no import', tg_table_name, stranger using errcode = 'restrict_violation', constraint = tg_table_name || '_append_only';
    end if;
    return null;
end
$$;
do $$
declare
    made record;
begin
    for made in select * from (values ('customers', 'id'), ('accounts', 'id'), ('subscriptions', 'id'), ('billing_periods', 'subscription_id'),
            ('charges', 'subscription_id'), ('wallet_movements', 'id'), ('ledger_entries', 'document_id'), ('transfers', 'entry_id')) as m (name, of) loop
        execute format('create or replace trigger refuse_delete before delete on public.%I for each statement execute function refuse_removal()', made.name);
        execute format('create or replace trigger guard_removed after delete on public.%I referencing old table as removed
            for each statement execute function guard_removed(%L)', made.name, made.of);
    end loop;
end
$$;
create or replace trigger refuse_delete before delete on import_rows for each statement execute function refuse_removal();
create or replace function guard_import() returns trigger language plpgsql as $$
begin
    if tg_op = 'INSERT' then
        if new.is_undoing or new.undone_at is not null then
            raise exception 'an import begins with what it makes' using errcode = 'restrict_violation', constraint = 'imports_immutable';
        end if;
        return new;
    end if;
    if tg_op = 'DELETE' or old.undone_at is not null
        or (to_jsonb(old) - array['undone_at', 'is_undoing']) is distinct from (to_jsonb(new) - array['undone_at', 'is_undoing']) then
        raise exception 'import % cannot change', old.id using errcode = 'restrict_violation', constraint = 'imports_immutable';
    end if;
    return new;
end
$$;
create or replace trigger guard before insert or update or delete on imports for each row execute function guard_import();

-- Takes back what an import made, as if it had never been: possible until the first document after it, and once. Whatever
-- else refers to one of its rows refuses it. Locks stand in the order of ARCHITECTURE.md; what is removed then is held.
create or replace function undo_import(tenant uuid, book uuid, at timestamptz) returns void language plpgsql security definer set search_path = public as $$
declare
    made record;
    customer_ids uuid[];
    account_ids uuid[];
    subscription_ids uuid[];
    subscribed_ids uuid[];
    document_ids uuid[];
    wallet_ids uuid[];
    lot_ids uuid[];
    draft_ids uuid[];
    entry_ids uuid[];
    touched_ids uuid[];
begin
    select * into made from imports m where m.organization_id = tenant and m.id = book for no key update;
    if not found or made.undone_at is not null then
        raise exception 'import % is taken back already', book using errcode = 'restrict_violation', constraint = 'imports_once';
    end if;
    perform from imports m where m.organization_id = tenant and m.undone_at is null and (m.created_at, m.id) > (made.created_at, made.id);
    if found then
        raise exception 'import % has one after it', book using errcode = 'restrict_violation', constraint = 'imports_last';
    end if;
    perform from sellers s where s.id = tenant and s.number_year = made.year_after and s.next_number = made.next_after;
    if not found then
        raise exception 'a document was finalized after import %', book using errcode = 'restrict_violation', constraint = 'imports_finalized';
    end if;
    select coalesce(array_agg(r.row_id) filter (where r.kind = 'customer'), '{}'), coalesce(array_agg(r.row_id) filter (where r.kind = 'account'), '{}'),
            coalesce(array_agg(r.row_id) filter (where r.kind = 'subscription'), '{}'), coalesce(array_agg(r.row_id) filter (where r.kind in ('invoice', 'credit')), '{}'),
            coalesce(array_agg(r.row_id) filter (where r.kind = 'wallet'), '{}'), coalesce(array_agg(r.row_id) filter (where r.kind = 'lot'), '{}'),
            coalesce(array_agg(distinct r.customer_id) filter (where r.customer_id is not null), '{}')
        into customer_ids, account_ids, subscription_ids, document_ids, wallet_ids, lot_ids, touched_ids
        from import_rows r where r.organization_id = tenant and r.import_id = book;
    perform from customers c where c.organization_id = tenant and c.id = any (touched_ids) order by c.id for update;
    perform from subscriptions s where s.organization_id = tenant and s.id = any (subscription_ids) order by s.id for update;
    select coalesce(array_agg(distinct a.id), '{}') into subscribed_ids from (
        select s.account_id as id from subscriptions s where s.organization_id = tenant and s.id = any (subscription_ids)) a;
    perform from accounts a where a.organization_id = tenant and a.id = any (account_ids || subscribed_ids) order by a.id for update;
    -- Whoever uses an account holds it, so nothing is added to what is looked at from here on.
    perform from usage_events u where u.organization_id = tenant and u.customer_id = any (customer_ids);
    if not found then
        perform from charges c where c.organization_id = tenant and c.account_id = any (subscribed_ids) and c.subscription_id = any (subscription_ids)
            and c.usage_event_id is not null;
    end if;
    if found then
        raise exception 'import % is in use', book using errcode = 'restrict_violation', constraint = 'imports_in_use';
    end if;
    perform from wallets w where w.organization_id = tenant and w.account_id = any (account_ids || subscribed_ids)
        and (exists (select from wallet_movements m where m.organization_id = tenant and m.wallet_id = w.id and w.id = any (wallet_ids) and m.id <> all (lot_ids))
            or w.id <> all (wallet_ids) and exists (select from charges c
                where c.organization_id = tenant and c.account_id = w.account_id and c.subscription_id = any (subscription_ids)));
    if found then
        raise exception 'import % is in use', book using errcode = 'restrict_violation', constraint = 'imports_in_use';
    end if;
    select coalesce(array_agg(distinct c.invoice_id), '{}') into draft_ids from charges c
        where c.organization_id = tenant and c.account_id = any (subscribed_ids) and c.subscription_id = any (subscription_ids) and c.invoice_id is not null;
    perform from invoices i where i.organization_id = tenant and (i.id = any (draft_ids || document_ids) or i.customer_id = any (customer_ids))
        order by i.id for update;
    select coalesce(array_agg(e.id), '{}') into entry_ids from ledger_entries e
        where e.organization_id = tenant and e.document in ('opening', 'wallet') and e.document_id = any (document_ids || lot_ids);

    update imports set is_undoing = true where organization_id = tenant and id = book;
    delete from charges c where c.organization_id = tenant and c.account_id = any (subscribed_ids) and c.subscription_id = any (subscription_ids);
    delete from invoices i where i.organization_id = tenant and (i.id = any (document_ids)
        or i.state = 'draft' and (i.id = any (draft_ids) or i.customer_id = any (customer_ids))
            and not exists (select from charges c where c.organization_id = tenant and c.invoice_id = i.id)
            and not exists (select from recharges r where r.organization_id = tenant and r.document_id = i.id));
    delete from allowance_forfeits f where f.organization_id = tenant
        and f.grant_id in (select g.id from allowance_grants g where g.organization_id = tenant and g.subscription_id = any (subscription_ids));
    delete from allowance_grants g where g.organization_id = tenant and g.subscription_id = any (subscription_ids);
    delete from billing_periods p where p.organization_id = tenant and p.subscription_id = any (subscription_ids);
    delete from subscription_segments g where g.organization_id = tenant and g.subscription_id = any (subscription_ids);
    delete from subscription_pauses z where z.organization_id = tenant and z.subscription_id = any (subscription_ids);
    delete from subscriptions s where s.organization_id = tenant and s.id = any (subscription_ids);
    update ledger_accounts a set credit_minor = a.credit_minor - t.minor
        from (select t.credit_account_id as id, sum(t.amount_minor)::bigint as minor from transfers t
            where t.organization_id = tenant and t.entry_id = any (entry_ids) group by t.credit_account_id) t
        where a.organization_id = tenant and a.id = t.id and a.kind = 'customer_credit';
    delete from transfers t where t.organization_id = tenant and t.entry_id = any (entry_ids);
    delete from ledger_entries e where e.organization_id = tenant and e.id = any (entry_ids);
    delete from wallet_lots l where l.organization_id = tenant and l.id = any (lot_ids);
    delete from wallet_movements m where m.organization_id = tenant and m.id = any (lot_ids);
    delete from wallets w where w.organization_id = tenant and w.id = any (wallet_ids);
    delete from ledger_accounts a where a.organization_id = tenant and a.payer = 'customer' and (a.customer_id = any (touched_ids) or a.kind = 'opening')
        and not exists (select from transfers t where t.organization_id = tenant and t.debit_account_id = a.id)
        and not exists (select from transfers t where t.organization_id = tenant and t.credit_account_id = a.id);
    delete from search_terms t where t.organization_id = tenant and t.kind = 'customer' and t.id = any (customer_ids);
    delete from customer_numbers n where n.organization_id = tenant and n.customer_id = any (customer_ids);
    delete from contacts c where c.organization_id = tenant and c.customer_id = any (customer_ids);
    delete from customers c where c.organization_id = tenant and c.id = any (customer_ids);
    delete from accounts a where a.organization_id = tenant and a.id = any (account_ids);
    delete from import_rows r where r.organization_id = tenant and r.import_id = book;
    -- Last, as for a document: whoever finalizes one has the seller's row from its number to the commit.
    update sellers s set invoice_prefix = case s.invoice_prefix when made.prefix_after then made.prefix_before else s.invoice_prefix end,
            number_year = made.year_before, next_number = made.next_before, opening_year = made.opening_year_before, opening_number = made.opening_number_before
        where s.id = tenant and s.number_year = made.year_after and s.next_number = made.next_after;
    if not found then
        raise exception 'a document was finalized after import %', book using errcode = 'restrict_violation', constraint = 'imports_finalized';
    end if;
    update imports set is_undoing = false, undone_at = at where organization_id = tenant and id = book;
end
$$;
revoke execute on function undo_import(uuid, uuid, timestamptz) from public;
grant execute on function undo_import(uuid, uuid, timestamptz) to tollbook_platform;
