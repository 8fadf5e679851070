-- Credit notes after $2: each is of an invoice of the same payer, adds up, and is in the ledger with its own amounts: the
-- payer owes less, or has that much credit. Of no line and no rate more is given back than there was.
with chunk as materialized (
    select * from credit_notes where organization_id = $1 and id > $2 order by id limit $3
), posted as (
    select n.id, e.id as entry_id, coalesce(t.owed, 0) as owed, coalesce(t.tax, 0) as tax, coalesce(t.revenue, 0) as revenue,
        coalesce(t.strange, 0) as strange
    from chunk n
    left join ledger_entries e on e.organization_id = $1 and e.document = 'credit_note' and e.document_id = n.id
    left join lateral (
        select sum(case when c.kind in ('receivable', 'customer_credit') then t.amount_minor else 0 end
                - case when d.kind in ('receivable', 'customer_credit') then t.amount_minor else 0 end) as owed,
            sum(case d.kind when 'tax_payable' then t.amount_minor else 0 end - case c.kind when 'tax_payable' then t.amount_minor else 0 end) as tax,
            sum(case d.kind when 'revenue' then t.amount_minor else 0 end - case c.kind when 'revenue' then t.amount_minor else 0 end) as revenue,
            count(*) filter (where t.currency <> n.currency or d.payer <> n.payer or c.payer <> n.payer
                or d.kind in ('receivable', 'customer_credit') and d.customer_id is distinct from n.customer_id
                or c.kind in ('receivable', 'customer_credit') and c.customer_id is distinct from n.customer_id) as strange
        from transfers t
        join ledger_accounts d on d.organization_id = $1 and d.id = t.debit_account_id
        join ledger_accounts c on c.organization_id = $1 and c.id = t.credit_account_id
        where t.organization_id = $1 and t.entry_id = e.id
    ) t on true
)
select n.next as "next?", w.place as "place?", w.key as "key?", w.what as "what?", w.expected as "expected?", w.found as "found?"
from (select (select id from chunk order by id offset $3::bigint - 1 limit 1) as next) n
left join (
    select 'credit_notes' as place, n.id::text as key, 'invoice_id' as what, 'a finalized invoice of the same payer and currency' as expected,
        n.invoice_id::text as found
    from chunk n
    left join invoices i on i.organization_id = $1 and i.id = n.invoice_id
    where i.id is null or i.state in ('draft', 'void') or (i.payer, i.customer_id, i.currency) is distinct from (n.payer, n.customer_id, n.currency)
    union all
    select 'credit_notes', n.id::text, 'total_minor', (n.subtotal_minor + n.tax_minor)::text, n.total_minor::text
    from chunk n where n.total_minor <> n.subtotal_minor + n.tax_minor
    union all
    select 'credit_notes', n.id::text, 'sum of its lines and taxes', 'total ' || v.total || ', tax ' || v.tax,
        'total ' || n.total_minor || ', tax ' || n.tax_minor
    from chunk n
    cross join lateral (select coalesce(sum(l.amount_minor), 0) as minor from credit_note_lines l
        where l.organization_id = $1 and l.credit_note_id = n.id) l
    cross join lateral (select coalesce(sum(x.tax_minor), 0) as minor, coalesce(sum(x.tax_minor) filter (where not x.inclusive), 0) as added
        from credit_note_taxes x where x.organization_id = $1 and x.credit_note_id = n.id) x
    cross join lateral (select l.minor + x.added as total, x.minor as tax) v
    where (v.total, v.tax) is distinct from (n.total_minor::numeric, n.tax_minor::numeric)
    union all
    select 'credit_note_lines', l.id::text, 'given back of line ' || l.invoice_line_id, 'at most ' || coalesce(i.amount_minor, 0), g.sum::text
    from chunk n
    join credit_note_lines l on l.organization_id = $1 and l.credit_note_id = n.id
    left join invoice_lines i on i.organization_id = $1 and i.id = l.invoice_line_id and i.invoice_id = n.invoice_id
    cross join lateral (select sum(g.amount_minor) as sum from credit_note_lines g
        where g.organization_id = $1 and g.invoice_line_id = l.invoice_line_id) g
    where i.id is null or g.sum not between least(i.amount_minor, 0) and greatest(i.amount_minor, 0)
    union all
    select 'credit_note_taxes', n.id::text, 'given back of the tax of ' || trim_scale(x.percent) || ' %', 'at most ' || coalesce(i.tax_minor, 0), g.sum::text
    from chunk n
    join credit_note_taxes x on x.organization_id = $1 and x.credit_note_id = n.id
    left join invoice_taxes i on i.organization_id = $1 and i.invoice_id = n.invoice_id and i.percent = x.percent and i.inclusive = x.inclusive
    cross join lateral (select sum(g.tax_minor) as sum from credit_notes o
        join credit_note_taxes g on g.organization_id = $1 and g.credit_note_id = o.id
        where o.organization_id = $1 and o.invoice_id = n.invoice_id and g.percent = x.percent and g.inclusive = x.inclusive) g
    where i.invoice_id is null or g.sum not between least(i.tax_minor, 0) and greatest(i.tax_minor, 0)
    union all
    select 'credit_notes', n.id::text, 'number', v.number, n.number
    from chunk n
    cross join lateral (select split_part(n.number, '-', 1) || '-' || n.number_year || '-'
        || lpad(n.number_seq::text, greatest(6, length(n.number_seq::text)), '0') as number) v
    where n.number <> v.number
    union all
    select 'ledger_entries', 'credit_note ' || n.id, 'entry', 'one', 'none'
    from chunk n join posted p on p.id = n.id where p.entry_id is null
    union all
    select 'transfers', p.entry_id::text, 'sum of the entry''s transfers',
        'owed less ' || n.total_minor || ', tax ' || n.tax_minor || ', revenue ' || n.subtotal_minor,
        'owed less ' || p.owed || ', tax ' || p.tax || ', revenue ' || p.revenue
    from chunk n join posted p on p.id = n.id
    where p.entry_id is not null
        and (p.owed, p.tax, p.revenue) is distinct from (n.total_minor::numeric, n.tax_minor::numeric, n.subtotal_minor::numeric)
    union all
    select 'transfers', p.entry_id::text, 'accounts of the entry''s transfers', 'those of the payer in ' || n.currency, p.strange || ' others'
    from chunk n join posted p on p.id = n.id where p.strange > 0
) w on true
