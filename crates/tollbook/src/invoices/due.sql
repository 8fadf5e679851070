-- Locks drafts to finalize. Usage of a draft's own time that waits to be rated holds it back; what was put aside does
-- not: it goes on a later document.
select i.id, i.seller_id, o.zone as seller_zone, i.customer_id, i.currency, o.rounding,
    coalesce(c.tax_exempt, false) as "tax_exempt!", c.tax_percent as "tax_percent?", coalesce(c.tax_inclusive, false) as "tax_inclusive!",
    i.zone, i.period_start, i.period_end, o.payment_terms_days
from invoices i
join organizations o on o.id = i.organization_id
left join customers c on c.organization_id = i.organization_id and c.id = i.customer_id
where i.organization_id = $1 and i.payer = $2 and i.state = 'draft'
    and case when $5::uuid is null then i.finalize_at <= $3 else i.id = $5 end
    and not exists (
        select from rating_queue q
        join usage_events u on u.organization_id = q.organization_id and u.id = q.usage_event_id
        where q.organization_id = i.organization_id and q.parked_at is null
            and q.account_id = coalesce(c.account_id,
                (select a.id from accounts a where a.organization_id = i.organization_id and a.payer = 'organization'))
            and (i.kind = 'period' and u.occurred_at < i.period_end or i.kind = 'call' and u.call_id = i.call_id))
order by i.finalize_at, i.id limit $4
for update of i skip locked
