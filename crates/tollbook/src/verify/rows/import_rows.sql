-- What imports made, after $2: each thing is there, comes to what was brought along, and of what is money the ledger says the same.
with chunk as materialized (
    select * from import_rows where organization_id = $1 and id > $2 order by id limit $3
), found as (
    select r.id, case r.kind
        when 'account' then (select 'an account' from accounts a where a.organization_id = $1 and a.id = r.row_id)
        when 'customer' then (select 'a customer' from customers c where c.organization_id = $1 and c.id = r.row_id)
        when 'subscription' then (select 'a subscription' from subscriptions s where s.organization_id = $1 and s.id = r.row_id and s.invoiced_until is not null)
        when 'wallet' then (select 'a wallet' from wallets w where w.organization_id = $1 and w.id = r.row_id)
        when 'allowance' then (select trim_scale(g.opening_used)::text from allowance_grants g where g.organization_id = $1 and g.id = r.row_id)
        when 'invoice' then (select (i.total_minor - i.opening_paid_minor) || ' ' || i.currency from invoices i
            where i.organization_id = $1 and i.id = r.row_id and i.kind = 'opening' and i.customer_id = r.customer_id)
        when 'lot' then (select (m.amount * power(10::numeric, w.minor_digits))::bigint || ' ' || w.currency
            from wallet_movements m join wallets w on w.organization_id = $1 and w.id = m.wallet_id
            where m.organization_id = $1 and m.id = r.row_id and m.kind = 'opening' and w.customer_id = r.customer_id)
        when 'number' then (select 'a seller' from sellers s where s.id = r.row_id and s.opening_number is not null)
        when 'credit' then r.amount_minor || ' ' || r.currency
    end as found
    from chunk r
), posted as (
    select r.id, r.kind, coalesce(t.sum, 0) as sum
    from chunk r
    left join lateral (
        select sum(t.amount_minor) as sum
        from ledger_entries e
        join transfers t on t.organization_id = $1 and t.entry_id = e.id and t.currency = r.currency
        join ledger_accounts d on d.organization_id = $1 and d.id = t.debit_account_id
        join ledger_accounts c on c.organization_id = $1 and c.id = t.credit_account_id
        where e.organization_id = $1 and e.document = case r.kind when 'lot' then 'wallet' else 'opening' end and e.document_id = r.row_id
            and case r.kind when 'invoice' then d.kind = 'receivable' and d.customer_id = r.customer_id and c.kind = 'opening'
                when 'credit' then c.kind = 'customer_credit' and c.customer_id = r.customer_id and d.kind = 'opening'
                else c.kind = 'wallet' and c.customer_id = r.customer_id and d.kind = 'opening' end
    ) t on true
    where r.amount_minor is not null
)
select n.next as "next?", w.place as "place?", w.key as "key?", w.what as "what?", w.expected as "expected?", w.found as "found?"
from (select (select id from chunk order by id offset $3::bigint - 1 limit 1) as next) n
left join (
    select 'import_rows' as place, r.id::text as key, r.kind || ' ' || r.key as what, e.expected, coalesce(f.found, 'none') as found
    from chunk r
    join found f on f.id = r.id
    cross join lateral (select case r.kind
        when 'account' then 'an account' when 'customer' then 'a customer' when 'subscription' then 'a subscription' when 'wallet' then 'a wallet'
        when 'number' then 'a seller' when 'allowance' then trim_scale(r.quantity)::text else r.amount_minor || ' ' || r.currency end as expected) e
    where f.found is distinct from e.expected
    union all
    select 'ledger_entries', 'opening ' || r.row_id, 'entry of ' || r.kind || ' ' || r.key, r.amount_minor::text, p.sum::text
    from chunk r join posted p on p.id = r.id
    where p.sum <> r.amount_minor
) w on true
