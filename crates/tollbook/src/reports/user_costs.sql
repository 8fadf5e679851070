-- What providers charge for the calls, recordings and numbers of a user, by month in $5, as far as the reader bears it. A
-- call is the user's who talked; one that nobody answered is the number's owner's.
with mine as (
    select c.id, (date_trunc('month', c.started_at at time zone $5))::date as month
    from (
        select v.call_id as id from call_viewers v
        where v.organization_id = $1 and v.user_id = $2 and v.started_at >= $3 and v.started_at < $4
        union
        select k.id from (select distinct a.phone_number_id from assignments a where a.organization_id = $1 and a.user_id = $2) a
        join calls k on k.organization_id = $1 and k.phone_number_id = a.phone_number_id and k.started_at >= $3 and k.started_at < $4
    ) i
    join calls c on c.organization_id = $1 and c.id = i.id and c.merged_into_id is null
    left join lateral (
        select a.user_id from assignments a
        where c.answered_by is null and a.organization_id = $1 and a.phone_number_id = c.phone_number_id
            and a.starts_at <= c.started_at and (a.ends_at is null or a.ends_at > c.started_at)
        order by a.kind = 'owner' desc, a.starts_at, a.user_id limit 1
    ) o on true
    where coalesce(c.answered_by, o.user_id) = $2
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
