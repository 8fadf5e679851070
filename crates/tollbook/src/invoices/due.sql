-- Locks drafts to finalize. Usage of a draft's own time that waits to be rated, for its turn or for what the provider charges
-- for it, holds it back, and so do webhooks that
-- have waited for longer than interpreting them takes: they may tell of more. What was put aside does not hold back: it
-- goes on a later document. Nor is a draft finalized by itself before its payer's next period is made, whose base fee goes
-- on it: otherwise it would depend on who is first where the fee stands.
-- What a person finalizes waits for no period. `offset 0` keeps what is looked up for each draft from becoming a join
-- that reads a whole queue for each batch.
select i.id, i.seller_id, o.zone as seller_zone, i.customer_id, i.currency, o.rounding,
    coalesce(c.tax_exempt, false) as "tax_exempt!", c.tax_percent as "tax_percent?", coalesce(c.tax_inclusive, false) as "tax_inclusive!",
    i.zone, i.period_start, i.period_end, o.payment_terms_days
from invoices i
join organizations o on o.id = i.organization_id
left join customers c on c.organization_id = i.organization_id and c.id = i.customer_id
where i.organization_id = $1 and i.payer = $2 and i.state = 'draft'
    and i.id = any($3)
    and (i.kind <> 'period' or not exists (
        select from inbox_queue w join inbox b on b.received_at = w.received_at and b.id = w.inbox_id
        where w.parked_at is null and w.received_at < clock_timestamp() - interval '1 minute'
            and (b.organization_id = $1 or b.organization_id is null)))
    and not exists (
        select from rating_queue q
        where q.organization_id = i.organization_id and (q.parked_at is null or q.cost_id is not null)
            and q.account_id = coalesce(c.account_id,
                (select a.id from accounts a where a.organization_id = i.organization_id and a.payer = 'organization'))
            and exists (select from usage_events u where u.organization_id = q.organization_id and u.id = q.usage_event_id
                and (i.kind = 'period' and u.occurred_at < i.period_end or i.kind = 'call' and u.call_id = i.call_id) offset 0)
            offset 0)
    and ($4 or i.kind <> 'period' or not exists (
        select from subscriptions s
        where s.organization_id = i.organization_id and s.account_id = coalesce(c.account_id,
                (select a.id from accounts a where a.organization_id = i.organization_id and a.payer = 'organization'))
            and s.state <> 'ended' and s.starts_at < i.period_end
            and (s.ends_at is null or s.ends_at > i.period_end)
            and not exists (select from billing_periods p
                where p.organization_id = s.organization_id and p.subscription_id = s.id and p.ends_at > i.period_end
                offset 0)
            offset 0))
order by i.finalize_at, i.id
for update of i skip locked
