-- Charges after $2: reversals undo exactly, references fit, the readable amount is the exact one.
with chunk as materialized (
    select * from charges where organization_id = $1 and id > $2 order by id limit $3
)
select n.next as "next?", w.place as "place?", w.key as "key?", w.what as "what?", w.expected as "expected?", w.found as "found?"
from (select (select id from chunk order by id offset $3::bigint - 1 limit 1) as next) n
left join (
    select 'charges' as place, c.id::text as key, 'reverses_id' as what, 'the same charge with the opposite quantity and amount' as expected,
        coalesce(o.id::text, 'nothing') as found
    from chunk c
    left join charges o on o.organization_id = $1 and o.id = c.reverses_id
    where c.reverses_id is not null and (o.id is null or o.reverses_id is not null
        or (o.payer, o.customer_id, o.account_id, o.usage_event_id, o.period_id, o.revision, o.part, o.kind, o.subscription_id, o.plan_version_id,
            o.price_key, o.grant_id, o.meter, o.quantity, o.amount_numerator, o.amount_denominator, o.currency, o.occurred_at, o.trace)
        is distinct from (c.payer, c.customer_id, c.account_id, c.usage_event_id, c.period_id, c.revision, c.part, c.kind, c.subscription_id,
            c.plan_version_id, c.price_key, c.grant_id, c.meter, -c.quantity, -c.amount_numerator, c.amount_denominator, c.currency, c.occurred_at, c.trace))
    union all
    select 'charges', c.id::text, 'amount', v.amount::text, c.amount::text
    from chunk c
    cross join lateral (select round(c.amount_numerator::numeric(60, 20) / c.amount_denominator, 12) as amount) v
    where c.amount <> v.amount
    union all
    select 'charges', c.id::text, 'usage_event_id', 'its first event, with the same meter, call and time', coalesce(u.id::text, 'nothing')
    from chunk c
    left join usage_events u on u.organization_id = $1 and u.id = c.usage_event_id
    where c.usage_event_id is not null and (u.id is null or u.corrects_id is not null
        or (u.meter, u.call_id, u.occurred_at) is distinct from (c.meter, c.call_id, c.occurred_at))
    union all
    select 'charges', c.id::text, 'period_id', 'a period of the same subscription that holds it', coalesce(p.id::text, 'nothing')
    from chunk c
    left join billing_periods p on p.organization_id = $1 and p.id = c.period_id
    where c.period_id is not null
        and (p.id is null or p.subscription_id is distinct from c.subscription_id or c.occurred_at < p.starts_at or c.occurred_at >= p.ends_at)
    union all
    select 'charges', c.id::text, 'invoice_id', 'a document of the same payer and currency', coalesce(c.invoice_id::text, 'nothing')
    from chunk c
    left join invoices i on i.organization_id = $1 and i.id = c.invoice_id
    where (c.invoice_id is not null or c.kind <> 'not_charged')
        and (i.id is null or (i.payer, i.customer_id, i.currency) is distinct from (c.payer, c.customer_id, c.currency))
        -- What a correction took off a line of a final document is reversed without one.
        and not (c.invoice_id is null and c.reverses_id is not null and exists (select from charges o
            join invoice_lines l on l.organization_id = $1 and l.invoice_id = o.invoice_id and l.line_group = o.line_group
            join correction_credits k on k.organization_id = $1 and k.invoice_line_id = l.id
            where o.organization_id = $1 and o.id = c.reverses_id))
    union all
    select 'charges', c.id::text, 'line_group', v.line_group, c.line_group
    from chunk c
    cross join lateral (select case when c.period_id is null then coalesce(c.price_key, 'base') || '/' || c.kind
        else c.kind || '/' || c.period_id || '/' || c.plan_version_id end as line_group) v
    -- While a period was on one plan version, the line of its fee was named by the period alone.
    where c.kind <> 'manual' and split_part(c.line_group, '@', 1) <> v.line_group and c.line_group is distinct from 'fee/' || c.period_id
    union all
    select 'charges', c.id::text, 'grant_id', 'a grant of the same account that is good at the time', c.grant_id::text
    from chunk c
    left join allowance_grants g on g.organization_id = $1 and g.id = c.grant_id
    where c.grant_id is not null
        -- What was taken back may have been drawn on what has expired since with its subscription.
        and (c.reverses_id is null and not exists (select from charges r where r.organization_id = $1 and r.reverses_id = c.id) or g.id is null)
        and (g.id is null or g.account_id <> c.account_id or c.occurred_at < g.starts_at or c.occurred_at >= g.expires_at)
    union all
    select 'charges', c.id::text, 'account_id', 'an account of the same payer', c.account_id::text
    from chunk c
    where not exists (select from accounts a where a.organization_id = $1 and a.id = c.account_id and a.payer = c.payer)
    union all
    select 'charges', c.id::text, 'plan_version_id', 'a published plan version of the seller', c.plan_version_id::text
    from chunk c
    where c.plan_version_id is not null
        and not exists (select from plan_versions v where v.seller_id = c.seller_id and v.id = c.plan_version_id and v.state = 'published')
) w on true
