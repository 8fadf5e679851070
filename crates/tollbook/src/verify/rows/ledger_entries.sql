-- Ledger entries after $2: each moves something, and stands for a document that there is.
with chunk as materialized (
    select * from ledger_entries where organization_id = $1 and id > $2 order by id limit $3
)
select n.next as "next?", w.place as "place?", w.key as "key?", w.what as "what?", w.expected as "expected?", w.found as "found?"
from (select (select id from chunk order by id offset $3::bigint - 1 limit 1) as next) n
left join (
    select 'ledger_entries' as place, e.id::text as key, 'transfers' as what, 'at least one' as expected, 'none' as found
    from chunk e
    where not exists (select from transfers t where t.organization_id = $1 and t.entry_id = e.id)
    union all
    select 'ledger_entries', e.id::text, 'document_id', e.document || ' of the same payer', e.document_id::text
    from chunk e
    where case e.document
        when 'invoice' then not exists (select from invoices i where i.organization_id = $1 and i.id = e.document_id and i.payer = e.payer)
        when 'credit_note' then not exists (select from credit_notes n where n.organization_id = $1 and n.id = e.document_id and n.payer = e.payer)
        when 'payment' then not exists (select from payments p where p.organization_id = $1 and p.id = e.document_id and p.payer = e.payer)
        when 'void' then not exists (select from invoices i where i.organization_id = $1 and i.id = e.document_id and i.payer = e.payer
            and i.state = 'void')
        when 'allocation' then not exists (select from payment_allocations a
            where a.organization_id = $1 and a.id = e.document_id and a.payer = e.payer and a.amount_minor < 0)
        when 'opening' then not exists (select from import_rows r
            where r.organization_id = $1 and r.row_id = e.document_id and r.kind in ('invoice', 'credit') and e.payer = 'customer')
        when 'wallet' then not exists (select from wallet_movements m where m.organization_id = $1 and m.id = e.document_id)
        when 'cost' then not exists (select from provider_cost_days d where d.organization_id = $1 and d.id = e.document_id
            and d.bearer = case e.payer when 'customer' then 'organization' else 'platform' end)
        when 'goodwill' then not exists (select from corrections k where k.organization_id = $1 and k.id = e.document_id
            and k.kind = 'goodwill' and e.payer = 'customer')
        else false
    end
    union all
    select 'transfers', e.id::text, 'sum of the entry''s transfers', 'only from credit to what is owed', 'something else'
    from chunk e
    where e.document = 'allocation' and exists (
        select from transfers t
        join ledger_accounts d on d.organization_id = $1 and d.id = t.debit_account_id
        join ledger_accounts c on c.organization_id = $1 and c.id = t.credit_account_id
        where t.organization_id = $1 and t.entry_id = e.id
            and (d.kind <> 'receivable' or c.kind <> 'customer_credit' or d.customer_id is distinct from c.customer_id))
) w on true
