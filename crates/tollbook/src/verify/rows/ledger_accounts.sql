-- Accounts after $2: what a payer owes by the ledger is what the payer's documents leave open, less what a wallet has paid
-- ahead of them, and the payer's credit is what was paid and credited beyond that, or given out of goodwill; the running sum of an account of credit
-- is that of its transfers; what is in a wallet by the ledger is its balance.
with chunk as materialized (
    select * from ledger_accounts where organization_id = $1 and id > $2 order by id limit $3
)
select n.next as "next?", w.place as "place?", w.key as "key?", w.what as "what?", w.expected as "expected?", w.found as "found?"
from (select (select id from chunk order by id offset $3::bigint - 1 limit 1) as next) n
left join (
    select 'ledger_accounts' as place, a.id::text as key, 'balance of ' || a.payer || ' ' || coalesce(a.customer_id::text, '') as what,
        (i.open - p.unapplied)::text as expected, (d.sum - c.sum)::text as found
    from chunk a
    cross join lateral (select coalesce(sum(t.amount_minor), 0) as sum from transfers t where t.organization_id = $1 and t.debit_account_id = a.id) d
    cross join lateral (select coalesce(sum(t.amount_minor), 0) as sum from transfers t where t.organization_id = $1 and t.credit_account_id = a.id) c
    cross join lateral (
        select coalesce(sum(greatest(i.total_minor - i.paid_minor - i.credited_minor, 0)), 0) as open
        from invoices i
        where i.organization_id = $1 and i.customer_id is not distinct from a.customer_id and i.payer = a.payer and i.currency = a.currency
            and i.state in ('finalized', 'paid', 'uncollectible')
    ) i
    cross join lateral (
        select coalesce(sum(p.unapplied * power(10::numeric, p.minor_digits)), 0)::bigint as unapplied
        from wallets p
        where p.organization_id = $1 and p.customer_id is not distinct from a.customer_id and p.payer = a.payer and p.currency = a.currency
    ) p
    where a.kind = 'receivable' and d.sum - c.sum <> i.open - p.unapplied
    union all
    select 'ledger_accounts', a.id::text, 'wallet of ' || a.payer || ' ' || coalesce(a.customer_id::text, ''), p.balance::text, (c.sum - d.sum)::text
    from chunk a
    cross join lateral (select coalesce(sum(t.amount_minor), 0) as sum from transfers t where t.organization_id = $1 and t.debit_account_id = a.id) d
    cross join lateral (select coalesce(sum(t.amount_minor), 0) as sum from transfers t where t.organization_id = $1 and t.credit_account_id = a.id) c
    cross join lateral (
        select coalesce(sum(p.balance * power(10::numeric, p.minor_digits)), 0)::bigint as balance
        from wallets p
        where p.organization_id = $1 and p.customer_id is not distinct from a.customer_id and p.payer = a.payer and p.currency = a.currency
    ) p
    where a.kind = 'wallet' and c.sum - d.sum <> p.balance
    union all
    select 'ledger_accounts', a.id::text, 'credit_minor', (c.sum - d.sum)::text, a.credit_minor::text
    from chunk a
    cross join lateral (select coalesce(sum(t.amount_minor), 0) as sum from transfers t where t.organization_id = $1 and t.debit_account_id = a.id) d
    cross join lateral (select coalesce(sum(t.amount_minor), 0) as sum from transfers t where t.organization_id = $1 and t.credit_account_id = a.id) c
    where a.credit_minor <> case a.kind when 'customer_credit' then c.sum - d.sum else 0 end
    union all
    select 'ledger_accounts', a.id::text, 'credit of ' || a.payer || ' ' || coalesce(a.customer_id::text, ''),
        (o.sum + p.sum + n.sum + k.sum - i.owed)::text, a.credit_minor::text
    from chunk a
    cross join lateral (
        select coalesce(sum(p.amount_minor), 0) as sum from payments p
        where p.organization_id = $1 and p.customer_id is not distinct from a.customer_id and p.payer = a.payer and p.currency = a.currency
            and p.state in ('succeeded', 'refunded') and p.channel <> 'credit'
    ) p
    cross join lateral (
        select coalesce(sum(n.total_minor), 0) as sum from credit_notes n
        where n.organization_id = $1 and n.customer_id is not distinct from a.customer_id and n.payer = a.payer and n.currency = a.currency
    ) n
    cross join lateral (
        select coalesce(sum(k.amount_minor), 0) as sum from corrections k
        where k.organization_id = $1 and k.kind = 'goodwill' and k.customer_id = a.customer_id and a.payer = 'customer' and k.currency = a.currency
    ) k
    cross join lateral (
        select coalesce(sum(r.amount_minor), 0) as sum from import_rows r
        where r.organization_id = $1 and r.kind = 'credit' and r.customer_id = a.customer_id and r.currency = a.currency
    ) o
    cross join lateral (
        -- What the documents come to, less what of it is open or was paid from a wallet or in another system.
        select coalesce(sum(i.total_minor - greatest(i.total_minor - i.paid_minor - i.credited_minor, 0) - i.prepaid_minor - i.opening_paid_minor), 0) as owed
        from invoices i
        where i.organization_id = $1 and i.customer_id is not distinct from a.customer_id and i.payer = a.payer and i.currency = a.currency
            and i.state in ('finalized', 'paid', 'uncollectible')
    ) i
    where a.kind = 'customer_credit' and a.credit_minor <> o.sum + p.sum + n.sum + k.sum - i.owed
) w on true
