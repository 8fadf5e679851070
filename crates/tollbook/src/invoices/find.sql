-- The documents of places: a payer's of a period, or that of a call. Three branches, so that each goes by its index.
with k as (
    select * from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::timestamptz[], $6::timestamptz[])
        with ordinality as k (organization_id, customer_id, call_id, currency, period_start, period_end, position)
)
select k.position as "position!", i.id as "id!"
from k
join invoices i on i.organization_id = k.organization_id and i.customer_id = k.customer_id and i.period_start = k.period_start
    and i.period_end = k.period_end and i.currency = k.currency and i.kind = 'period'
where k.call_id is null
union all
select k.position, i.id
from k
join invoices i on i.organization_id = k.organization_id and i.customer_id is null and i.period_start = k.period_start
    and i.period_end = k.period_end and i.currency = k.currency and i.kind = 'period'
where k.call_id is null and k.customer_id is null
union all
select k.position, i.id
from k
join invoices i on i.organization_id = k.organization_id and i.call_id = k.call_id and i.kind = 'call' and i.currency = k.currency
