-- Whether usages on other terms than those of one subscription, or of pay per call, share something with usages of a time.
select k.position as "position!",
    case when k.subscription_id is null then
        exists (select from subscriptions s where s.organization_id = k.organization_id and s.account_id = k.account_id
            and s.starts_at < k.ends_at and coalesce(s.ends_at, 'infinity') > k.starts_at)
        or (select count(*) from pay_per_call_terms t where t.organization_id = k.organization_id
            and t.starts_at < k.ends_at and coalesce(t.ends_at, 'infinity') > k.starts_at) > 1
    else
        not exists (select from subscription_segments g
            join subscriptions s on s.organization_id = g.organization_id and s.id = g.subscription_id
            where g.organization_id = k.organization_id and g.subscription_id = k.subscription_id
                and g.starts_at <= k.starts_at and g.ends_at >= least(k.ends_at, coalesce(s.ends_at, 'infinity')))
        -- In pauses, and behind an end within a period, the same time is also pay per call's.
        or exists (select from subscriptions s where s.organization_id = k.organization_id and s.id = k.subscription_id
            and s.ends_at > k.starts_at and s.ends_at < k.ends_at)
        or exists (select from subscription_pauses z where z.organization_id = k.organization_id and z.subscription_id = k.subscription_id
            and z.starts_at < k.ends_at and coalesce(z.ends_at, 'infinity') > k.starts_at)
        or exists (select from allowance_grants a where a.organization_id = k.organization_id and a.account_id = k.account_id
            and a.subscription_id is distinct from k.subscription_id and a.expires_at > k.starts_at and a.starts_at < k.ends_at)
    end as "is_mixed!"
from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::timestamptz[], $5::timestamptz[])
    with ordinality as k (organization_id, account_id, subscription_id, starts_at, ends_at, position)
