-- Finalized invoices after $2: each meter has earned in the ledger what the lines of the meter come to. Tax that prices
-- include is no revenue; it is taken out of the largest line. All charges of a line are of one meter.
with chunk as materialized (
    select id, subtotal_minor from invoices where organization_id = $1 and id > $2 and state <> 'draft' order by id limit $3
), lines as (
    select i.id, l.amount_minor, coalesce(m.meter, 'fee') as meter, sum(l.amount_minor) over invoice - i.subtotal_minor as included,
        row_number() over (partition by i.id order by abs(l.amount_minor) desc, l.position desc) = 1 as is_largest
    from chunk i
    join invoice_lines l on l.organization_id = $1 and l.invoice_id = i.id
    left join lateral (
        select m.meter from (select g.meter from charges g where g.organization_id = $1 and g.invoice_id = i.id and g.line_group = l.line_group
             union all
             select g.meter from recharges r join invoices v on v.organization_id = $1 and v.id = r.void_invoice_id
             join charges g on g.organization_id = $1 and g.invoice_id = r.void_invoice_id
                 and g.line_group = left(l.line_group, greatest(length(l.line_group) - length(v.number) - 1, 0))
             where r.organization_id = $1 and r.document_id = i.id and l.line_group like '%@' || v.number
             limit 1) m
    ) m on true
    window invoice as (partition by i.id)
), earned as (
    select id, meter, sum(amount_minor - case when is_largest then included else 0 end) as minor from lines group by id, meter
), posted as (
    select i.id, a.meter, sum(case a.id when t.credit_account_id then t.amount_minor else -t.amount_minor end) as minor
    from chunk i
    join ledger_entries e on e.organization_id = $1 and e.document = 'invoice' and e.document_id = i.id
    join transfers t on t.organization_id = $1 and t.entry_id = e.id
    join ledger_accounts a on a.organization_id = $1 and a.id in (t.debit_account_id, t.credit_account_id) and a.kind = 'revenue'
    group by i.id, a.meter
)
select n.next as "next?", w.place as "place?", w.key as "key?", w.what as "what?", w.expected as "expected?", w.found as "found?"
from (select (select id from chunk order by id offset $3::bigint - 1 limit 1) as next) n
left join (
    select 'ledger_entries' as place, 'invoice ' || id as key, 'revenue of ' || meter as what,
        coalesce(e.minor, 0)::text as expected, coalesce(p.minor, 0)::text as found
    from earned e full join posted p using (id, meter)
    where coalesce(e.minor, 0) <> coalesce(p.minor, 0)
) w on true
