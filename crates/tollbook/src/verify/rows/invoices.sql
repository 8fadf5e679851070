-- Invoices after $2: a draft has nothing on it yet; what is paid and credited is the sum of what was; the state follows
-- from these; the printed number is that of the sequence; a document is in the ledger with its own amounts. What is void
-- is taken back whole, and its usage and fees are gathered by one other document.
with chunk as materialized (
    select * from invoices where organization_id = $1 and id > $2 order by id limit $3
), posted as (
    select i.id, e.id as entry_id, e.payer, coalesce(t.owed, 0) as owed, coalesce(t.tax, 0) as tax, coalesce(t.revenue, 0) as revenue,
        coalesce(t.strange, 0) as strange
    from chunk i
    left join ledger_entries e on e.organization_id = $1 and e.document = 'invoice' and e.document_id = i.id
    left join lateral (
        select sum(case when d.kind in ('receivable', 'customer_credit') then t.amount_minor else 0 end
                - case when c.kind in ('receivable', 'customer_credit') then t.amount_minor else 0 end) as owed,
            sum(case c.kind when 'tax_payable' then t.amount_minor else 0 end - case d.kind when 'tax_payable' then t.amount_minor else 0 end) as tax,
            sum(case c.kind when 'revenue' then t.amount_minor else 0 end - case d.kind when 'revenue' then t.amount_minor else 0 end) as revenue,
            count(*) filter (where t.currency <> i.currency or d.payer <> i.payer or c.payer <> i.payer
                or d.kind in ('receivable', 'customer_credit') and d.customer_id is distinct from i.customer_id
                or c.kind in ('receivable', 'customer_credit') and c.customer_id is distinct from i.customer_id) as strange
        from transfers t
        join ledger_accounts d on d.organization_id = $1 and d.id = t.debit_account_id
        join ledger_accounts c on c.organization_id = $1 and c.id = t.credit_account_id
        where t.organization_id = $1 and t.entry_id = e.id
    ) t on true
)
select n.next as "next?", w.place as "place?", w.key as "key?", w.what as "what?", w.expected as "expected?", w.found as "found?"
from (select (select id from chunk order by id offset $3::bigint - 1 limit 1) as next) n
left join (
    select 'invoices' as place, i.id::text as key, 'lines, taxes and total of a draft' as what, 'nothing' as expected,
        l.count || ' lines, ' || x.count || ' taxes, ' || i.total_minor as found
    from chunk i
    cross join lateral (select count(*) from invoice_lines l where l.organization_id = $1 and l.invoice_id = i.id) l
    cross join lateral (select count(*) from invoice_taxes x where x.organization_id = $1 and x.invoice_id = i.id) x
    where i.state = 'draft' and (l.count > 0 or x.count > 0 or i.subtotal_minor <> 0 or i.tax_minor <> 0 or i.total_minor <> 0)
    union all
    select 'invoices', i.id::text, 'paid_minor', (a.sum + i.prepaid_minor + i.opening_paid_minor)::text, i.paid_minor::text
    from chunk i
    cross join lateral (select coalesce(sum(a.amount_minor), 0) as sum from payment_allocations a where a.organization_id = $1 and a.invoice_id = i.id) a
    where i.paid_minor <> a.sum + i.prepaid_minor + i.opening_paid_minor
    union all
    select 'invoices', i.id::text, 'credited_minor', n.sum::text, i.credited_minor::text
    from chunk i
    cross join lateral (select coalesce(sum(n.total_minor), 0) as sum from credit_notes n where n.organization_id = $1 and n.invoice_id = i.id) n
    where i.credited_minor <> n.sum
    union all
    select 'invoices', i.id::text, 'state', case i.state when 'paid' then 'finalized' else 'paid' end, i.state
    from chunk i
    where i.state = 'paid' and i.paid_minor + i.credited_minor < i.total_minor
        or i.state = 'finalized' and i.paid_minor + i.credited_minor >= i.total_minor
    union all
    select 'invoices', i.id::text, 'number', v.number, i.number
    from chunk i
    cross join lateral (select split_part(i.number, '-', 1) || '-' || i.number_year || '-'
        || lpad(i.number_seq::text, greatest(6, length(i.number_seq::text)), '0') as number) v
    where i.state <> 'draft' and i.number <> v.number
    union all
    select 'invoices', i.id::text, 'entry that takes it back', 'owed ' || -i.total_minor || ', tax ' || -i.tax_minor || ', revenue ' || -i.subtotal_minor,
        'owed ' || t.owed || ', tax ' || t.tax || ', revenue ' || t.revenue
    from chunk i
    cross join lateral (
        select coalesce(sum(case d.kind when 'receivable' then t.amount_minor else 0 end - case c.kind when 'receivable' then t.amount_minor else 0 end), 0) as owed,
            coalesce(sum(case c.kind when 'tax_payable' then t.amount_minor else 0 end - case d.kind when 'tax_payable' then t.amount_minor else 0 end), 0) as tax,
            coalesce(sum(case c.kind when 'revenue' then t.amount_minor else 0 end - case d.kind when 'revenue' then t.amount_minor else 0 end), 0) as revenue
        from ledger_entries e
        join transfers t on t.organization_id = $1 and t.entry_id = e.id
        join ledger_accounts d on d.organization_id = $1 and d.id = t.debit_account_id
        join ledger_accounts c on c.organization_id = $1 and c.id = t.credit_account_id
        where e.organization_id = $1 and e.document = 'void' and e.document_id = i.id
    ) t
    where i.state = 'void' and (t.owed, t.tax, t.revenue) is distinct from (-i.total_minor::numeric, -i.tax_minor::numeric, -i.subtotal_minor::numeric)
    union all
    select 'invoices', i.id::text, 'documents that gather its charges again', 'one', r.count::text
    from chunk i
    cross join lateral (
        select count(*) from recharges r join invoices d on d.organization_id = $1 and d.id = r.document_id
        where r.organization_id = $1 and r.void_invoice_id = i.id and d.state <> 'void'
    ) r
    where i.state = 'void' and r.count <> 1 and exists (select from charges c
        where c.organization_id = $1 and c.invoice_id = i.id and num_nonnulls(c.usage_event_id, c.period_id) > 0)
    union all
    select 'ledger_entries', 'invoice ' || i.id, 'entry', 'one', 'none'
    from chunk i join posted p on p.id = i.id
    where i.state <> 'draft' and i.kind <> 'opening' and p.entry_id is null and (i.total_minor <> 0 or i.tax_minor <> 0)
    union all
    -- An invoice of another system is here by an import, and its lines stand there.
    select 'invoices', i.id::text, 'import', 'one', 'none'
    from chunk i
    where i.kind = 'opening' and not exists (select from import_rows r where r.organization_id = $1 and r.kind = 'invoice' and r.row_id = i.id)
    union all
    select 'ledger_entries', p.entry_id::text, 'document_id', 'an invoice of this system', i.id::text
    from chunk i join posted p on p.id = i.id
    where i.kind = 'opening' and p.entry_id is not null
    union all
    select 'ledger_entries', p.entry_id::text, 'document_id', 'a finalized invoice of the same payer', i.id || ', ' || i.state || ', ' || i.payer
    from chunk i join posted p on p.id = i.id
    where p.entry_id is not null and (i.state = 'draft' or p.payer <> i.payer)
    union all
    select 'transfers', p.entry_id::text, 'sum of the entry''s transfers',
        'owed ' || i.total_minor || ', tax ' || i.tax_minor || ', revenue ' || i.subtotal_minor,
        'owed ' || p.owed || ', tax ' || p.tax || ', revenue ' || p.revenue
    from chunk i join posted p on p.id = i.id
    where i.state <> 'draft' and i.kind <> 'opening' and p.entry_id is not null
        and (p.owed, p.tax, p.revenue) is distinct from (i.total_minor::numeric, i.tax_minor::numeric, i.subtotal_minor::numeric)
    union all
    select 'transfers', p.entry_id::text, 'accounts of the entry''s transfers', 'those of the payer in ' || i.currency, p.strange || ' others'
    from chunk i join posted p on p.id = i.id where p.strange > 0
) w on true
