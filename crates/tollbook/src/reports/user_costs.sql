-- What providers charge for the calls, recordings and numbers of a user, by month in $5, as far as the reader bears it. A
-- call is the user's who talked; one that nobody answered is the number's owner's.
with mine as (
    select c.id, (date_trunc('month', c.started_at at time zone $5))::date as month
    from calls_of_user($1, $2, $3, $4) c
), things as (
    select 'call' as kind, 'call' as subject, id, month from mine
    union all
    select 'recording', 'recording', r.id, m.month from mine m join recordings r on r.organization_id = $1 and r.call_id = m.id
    union all
    select 'recording', 'voicemail', v.id, m.month from mine m join voicemails v on v.organization_id = $1 and v.call_id = m.id
    union all
    select 'number', 'number', t.id, (t.period_start at time zone $5)::date
    from number_months t where t.organization_id = $1 and t.user_id = $2 and t.period_start >= $3 and t.period_start < $4
)
select t.month as "month!", t.kind as "kind!", p.currency as "currency?", sum(p.amount) as "amount?",
    count(*) filter (where p.amount is null) as "pending!"
from things t
join provider_costs p on p.organization_id = $1 and p.subject = t.subject and p.subject_id = t.id
group by t.month, t.kind, p.currency
order by t.month, t.kind, p.currency
