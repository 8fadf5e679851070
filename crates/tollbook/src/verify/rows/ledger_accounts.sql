-- Accounts after $2: what a payer owes by the ledger is what the payer's documents leave open.
with chunk as materialized (
    select * from ledger_accounts where organization_id = $1 and id > $2 order by id limit $3
)
select n.next as "next?", w.place as "place?", w.key as "key?", w.what as "what?", w.expected as "expected?", w.found as "found?"
from (select (select id from chunk order by id offset $3::bigint - 1 limit 1) as next) n
left join (
    select 'ledger_accounts' as place, a.id::text as key, 'balance of ' || a.payer || ' ' || coalesce(a.customer_id::text, '') as what,
        i.open::text as expected, (d.sum - c.sum)::text as found
    from chunk a
    cross join lateral (select coalesce(sum(t.amount_minor), 0) as sum from transfers t where t.organization_id = $1 and t.debit_account_id = a.id) d
    cross join lateral (select coalesce(sum(t.amount_minor), 0) as sum from transfers t where t.organization_id = $1 and t.credit_account_id = a.id) c
    cross join lateral (
        select coalesce(sum(greatest(i.total_minor - i.paid_minor - i.credited_minor, 0)), 0) as open
        from invoices i
        where i.organization_id = $1 and i.customer_id is not distinct from a.customer_id and i.payer = a.payer and i.currency = a.currency
            and i.state in ('finalized', 'paid', 'uncollectible')
    ) i
    where a.kind = 'receivable' and d.sum - c.sum <> i.open
) w on true
