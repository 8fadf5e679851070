-- Invoices of the organization's customers, newest period first.
select i.id, i.number, i.state, i.customer_id, coalesce(nullif(c.name, ''), c.email, '') as "customer_name!", c.email as customer_email,
    o.name as seller_name, i.zone, i.currency, i.period_start, i.period_end, i.finalize_at, i.finalized_at, i.due_at,
    i.subtotal_minor, i.total_minor, i.paid_minor, i.credited_minor, i.notes, i.void_reason,
    i.webhooks_parked, i.usages, i.usages_rated,
    case when i.state in ('finalized', 'uncollectible') then i.total_minor - i.paid_minor - i.credited_minor else 0 end as "open_minor!"
from invoices i
join organizations o on o.id = i.organization_id
join customers c on c.organization_id = i.organization_id and c.id = i.customer_id
where i.organization_id = $1 and i.payer = 'customer'
    and case $2
        when '' then true
        when 'open' then i.state = 'finalized' and (i.due_at is null or i.due_at >= $7)
        when 'overdue' then i.state = 'finalized' and i.due_at < $7
        else i.state = $2
    end
    and ($3::text is null and $4::uuid[] is null
        or i.number >= $3 and i.number < $3 || '~'
        or i.customer_id = any ($4))
    and ($5::timestamptz is null or (i.period_start, i.id) < ($5, $6))
    and ($9::uuid is null or i.id = $9)
order by i.period_start desc, i.id desc
limit $8
