-- What the platform charges the organization for the calls, recordings and numbers of a user, by month in $5. A call is the
-- user's who talked; one that nobody answered is the number's owner's. What waits for a price is pending.
with mine as (
    select c.id, (date_trunc('month', c.started_at at time zone $5))::date as month
    from calls_of_user($1, $2, $3, $4) c
), things as (
    select 'call' as kind, u.id, m.month from mine m join usage_events u on u.organization_id = $1 and u.call_id = m.id and u.corrects_id is null
    union all
    -- Parts of a call name the record that they are of.
    select 'recording', u.id, m.month
    from mine m
    join call_legs l on l.organization_id = $1 and l.call_id = m.id
    join usage_events u on u.organization_id = $1 and u.resource_type = 'call' and u.call_id is null and u.resource_id = l.sid
    where u.meter in ('recording', 'voicemail') and u.corrects_id is null
    union all
    select 'number', t.usage_event_id, (t.period_start at time zone $5)::date
    from number_months t where t.organization_id = $1 and t.user_id = $2 and t.period_start >= $3 and t.period_start < $4
)
select t.month as "month!", t.kind as "kind!", c.currency as "currency?", sum(c.amount) as "amount?",
    count(*) filter (where c.currency is null and exists (
        select from accounts a join rating_queue q on q.organization_id = a.organization_id and q.account_id = a.id
        where a.organization_id = $1 and a.payer = 'organization' and q.usage_event_id = t.id)) as "pending!"
from things t
left join lateral (
    select g.currency, sum(g.amount) as amount from charges g
    where g.organization_id = $1 and g.usage_event_id = t.id and g.payer = 'organization' group by g.currency
) c on true
group by t.month, t.kind, c.currency
order by t.month, t.kind, c.currency
