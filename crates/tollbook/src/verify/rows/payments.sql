-- Payments after $2: what came in is in the ledger with its own amount, once, and what did not is not; credit that is used
-- moves no money. It pays invoices of the same payer, with no more than there is of it; credit pays whole. What takes a
-- payment back has its amount, and leaves nothing paid.
with chunk as materialized (
    select * from payments where organization_id = $1 and id > $2 order by id limit $3
), posted as (
    select p.id, e.id as entry_id, coalesce(t.received, 0) as received, coalesce(t.owed, 0) as owed, coalesce(t.strange, 0) as strange
    from chunk p
    left join ledger_entries e on e.organization_id = $1 and e.document = 'payment' and e.document_id = p.id
    left join lateral (
        select sum(case d.kind when 'clearing' then t.amount_minor else 0 end - case c.kind when 'clearing' then t.amount_minor else 0 end) as received,
            sum(case when c.kind in ('receivable', 'customer_credit') then t.amount_minor else 0 end
                - case when d.kind in ('receivable', 'customer_credit') then t.amount_minor else 0 end) as owed,
            count(*) filter (where t.currency <> p.currency or d.payer <> p.payer or c.payer <> p.payer
                or d.kind in ('receivable', 'customer_credit') and d.customer_id is distinct from p.customer_id
                or c.kind in ('receivable', 'customer_credit') and c.customer_id is distinct from p.customer_id) as strange
        from transfers t
        join ledger_accounts d on d.organization_id = $1 and d.id = t.debit_account_id
        join ledger_accounts c on c.organization_id = $1 and c.id = t.credit_account_id
        where t.organization_id = $1 and t.entry_id = e.id
    ) t on true
)
select n.next as "next?", w.place as "place?", w.key as "key?", w.what as "what?", w.expected as "expected?", w.found as "found?"
from (select (select id from chunk order by id offset $3::bigint - 1 limit 1) as next) n
left join (
    select 'ledger_entries' as place, 'payment ' || p.id as key, 'entry' as what,
        case when p.state in ('succeeded', 'refunded') then 'one' else 'none' end as expected,
        case when o.entry_id is null then 'none' else 'one' end as found
    from chunk p join posted o on o.id = p.id
    where (p.state in ('succeeded', 'refunded')) <> (o.entry_id is not null)
        -- Credit that is taken back where something else covers the invoice moves nothing.
        and not (p.channel = 'credit' and p.reverses_id is not null)
    union all
    select 'transfers', o.entry_id::text, 'sum of the entry''s transfers', 'received ' || v.minor || ', owed less ' || v.minor,
        'received ' || o.received || ', owed less ' || o.owed
    from chunk p join posted o on o.id = p.id
    cross join lateral (select case p.channel when 'credit' then 0 else p.amount_minor end as minor) v
    where o.entry_id is not null and (o.received, o.owed) is distinct from (v.minor::numeric, v.minor::numeric)
    union all
    select 'transfers', o.entry_id::text, 'accounts of the entry''s transfers', 'those of the payer in ' || p.currency, o.strange || ' others'
    from chunk p join posted o on o.id = p.id where o.strange > 0
    union all
    select 'payments', p.id::text, 'allocations', 'from 0 to ' || p.amount_minor, a.sum::text
    from chunk p
    cross join lateral (select coalesce(sum(a.amount_minor), 0) as sum from payment_allocations a where a.organization_id = $1 and a.payment_id = p.id) a
    where a.sum < 0 or a.sum > case when p.state in ('succeeded', 'refunded') and p.reverses_id is null then p.amount_minor else 0 end
    union all
    select 'payments', p.id::text, 'allocated_minor', a.sum::text, p.allocated_minor::text
    from chunk p
    cross join lateral (select coalesce(sum(a.amount_minor), 0) as sum from payment_allocations a where a.organization_id = $1 and a.payment_id = p.id) a
    where p.allocated_minor <> a.sum
    union all
    select 'payments', p.id::text, 'allocations of what is used up or taken back', v.minor::text, p.allocated_minor::text
    from chunk p
    left join payments r on r.organization_id = $1 and r.reverses_id = p.id
    cross join lateral (select case when r.id is null then p.amount_minor else 0 end as minor) v
    where p.reverses_id is null and p.state = 'succeeded' and (p.channel = 'credit' or r.id is not null) and p.allocated_minor <> v.minor
    union all
    select 'payments', p.id::text, 'reverses_id', 'a payment of the same payer and channel with the opposite amount', p.reverses_id::text
    from chunk p
    left join payments o on o.organization_id = $1 and o.id = p.reverses_id
    where p.reverses_id is not null and (o.id is null or o.reverses_id is not null
        or (o.payer, o.customer_id, o.channel, o.currency, o.amount_minor) is distinct from (p.payer, p.customer_id, p.channel, p.currency, -p.amount_minor))
    union all
    select 'payment_allocations', a.id::text, 'invoice_id', 'a finalized invoice of the same payer and currency', a.invoice_id::text
    from chunk p
    join payment_allocations a on a.organization_id = $1 and a.payment_id = p.id
    left join invoices i on i.organization_id = $1 and i.id = a.invoice_id
    where i.id is null or i.state = 'draft' or (i.payer, i.customer_id, i.currency) is distinct from (p.payer, p.customer_id, p.currency)
) w on true
