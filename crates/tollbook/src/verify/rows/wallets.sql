-- Wallets after $2: the balance is the sum of the movements, and what is left of the lots; lots are used as movements say;
-- what was drawn is on documents or waits for one; what is reserved is held for calls; what is charged on drafts and not drawn is known to the last digit.
with chunk as materialized (
    select * from wallets where organization_id = $1 and id > $2 order by id limit $3
)
select n.next as "next?", w.place as "place?", w.key as "key?", w.what as "what?", w.expected as "expected?", w.found as "found?"
from (select (select id from chunk order by id offset $3::bigint - 1 limit 1) as next) n
left join (
    select 'wallets' as place, a.id::text as key, 'balance' as what, trim_scale(m.sum)::text as expected, trim_scale(a.balance)::text as found
    from chunk a
    cross join lateral (select coalesce(sum(m.amount), 0) as sum from wallet_movements m where m.organization_id = $1 and m.wallet_id = a.id) m
    where m.sum <> a.balance
    union all
    select 'wallets', a.id::text, 'what is left of its lots', trim_scale(a.balance)::text, trim_scale(l.sum)::text
    from chunk a
    cross join lateral (select coalesce(sum(l.amount - l.used), 0) as sum from wallet_lots l where l.organization_id = $1 and l.wallet_id = a.id) l
    where l.sum <> a.balance
    union all
    select 'wallet_lots', l.id::text, 'amount', trim_scale(m.amount)::text, trim_scale(l.amount)::text
    from chunk a
    join wallet_lots l on l.organization_id = $1 and l.wallet_id = a.id
    join wallet_movements m on m.organization_id = $1 and m.id = l.id
    where m.amount <> l.amount or m.lot_id is not null
    union all
    select 'wallet_lots', l.id::text, 'used', trim_scale(-m.sum)::text, trim_scale(l.used)::text
    from chunk a
    join wallet_lots l on l.organization_id = $1 and l.wallet_id = a.id
    cross join lateral (select coalesce(sum(m.amount), 0) as sum from wallet_movements m where m.organization_id = $1 and m.lot_id = l.id) m
    where -m.sum <> l.used
    union all
    select 'wallets', a.id::text, 'unapplied', trim_scale(u.sum)::text, trim_scale(a.unapplied)::text
    from chunk a
    cross join lateral (
        select -coalesce((select sum(m.amount) from wallet_movements m where m.organization_id = $1 and m.wallet_id = a.id and m.kind = 'draw'), 0)
            - d.minor / power(10::numeric, a.minor_digits) as sum
        from (
            select coalesce(sum(i.prepaid_minor), 0) as minor from invoices i
            where i.organization_id = $1 and i.payer = a.payer and i.customer_id is not distinct from a.customer_id and i.currency = a.currency
        ) d
    ) u
    where u.sum <> a.unapplied
    union all
    select 'wallets', a.id::text, 'charged on drafts and not drawn', trim_scale(round(c.sum / 1e24, 12))::text,
        trim_scale(round(a.undrawn_numerator / a.undrawn_denominator, 12))::text
    from chunk a
    cross join lateral (
        select coalesce(sum(c.amount_numerator * 1e24 / c.amount_denominator), 0) - a.unapplied * 1e24 as sum
        from invoices i
        cross join lateral (
            select c.amount_numerator, c.amount_denominator from charges c where c.organization_id = $1 and c.invoice_id = i.id
            union all
            select c.amount_numerator, c.amount_denominator
            from recharges r join charges c on c.organization_id = $1 and c.invoice_id = r.void_invoice_id
            where r.organization_id = $1 and r.document_id = i.id
        ) c
        where i.organization_id = $1 and i.payer = a.payer and i.customer_id is not distinct from a.customer_id and i.currency = a.currency
            and i.state = 'draft' and i.kind <> 'one_off'
    ) c
    -- Quotients are cut off, far behind the last digit of any price.
    where abs(c.sum - a.undrawn_numerator * 1e24 / a.undrawn_denominator) > 1e8
    union all
    select 'wallets', a.id::text, 'reserved', trim_scale(r.sum)::text, trim_scale(a.reserved)::text
    from chunk a
    cross join lateral (
        select coalesce(sum(r.amount), 0) as sum from call_reservations r
        where r.organization_id = $1 and r.wallet_id = a.id and r.state = 'open'
    ) r
    where r.sum <> a.reserved
    union all
    select 'ledger_entries', 'wallet ' || m.id, 'entry', m.kind || ' of ' || trim_scale(m.amount), coalesce(t.sum::text, 'none')
    from chunk a
    join wallet_movements m on m.organization_id = $1 and m.wallet_id = a.id
    left join lateral (
        select sum(case c.kind when 'wallet' then t.amount_minor else 0 end - case d.kind when 'wallet' then t.amount_minor else 0 end) as sum
        from ledger_entries e
        join transfers t on t.organization_id = $1 and t.entry_id = e.id and t.currency = a.currency
        join ledger_accounts d on d.organization_id = $1 and d.id = t.debit_account_id and d.payer = a.payer
        join ledger_accounts c on c.organization_id = $1 and c.id = t.credit_account_id and c.payer = a.payer
        where e.organization_id = $1 and e.document = 'wallet' and e.document_id = m.id
            and case when d.kind = 'wallet' then d.customer_id else c.customer_id end is not distinct from a.customer_id
    ) t on true
    where t.sum is distinct from m.amount * power(10::numeric, a.minor_digits)
    union all
    select 'wallet_movements', m.id::text, 'import', 'one', 'none'
    from chunk a join wallet_movements m on m.organization_id = $1 and m.wallet_id = a.id and m.kind = 'opening'
    where not exists (select from import_rows r where r.organization_id = $1 and r.kind = 'lot' and r.row_id = m.id)
) w on true
