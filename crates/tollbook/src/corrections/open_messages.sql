-- The messages of a customer of which nothing stands on a final document.
select m.id from messages m
where m.organization_id = $1 and m.customer_id = $2
    and not exists (
        select from usage_events u
        join charges h on h.organization_id = $1 and h.usage_event_id = u.id and h.payer = 'customer' and h.reverses_id is null
        join invoices i on i.organization_id = $1 and i.id = h.invoice_id and i.state in ('finalized', 'paid', 'uncollectible')
        where u.organization_id = $1 and u.resource_id = m.sid and u.resource_type = 'message' and u.corrects_id is null
            and not exists (select from charges r where r.organization_id = $1 and r.reverses_id = h.id))
order by m.occurred_at desc, m.id desc limit $3
