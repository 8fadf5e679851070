select c.id as "id!", c.name as "name!", c.kind = 'prospect' as "is_prospect!",
    array(
        select n.e164 from customer_numbers n
        where n.organization_id = $1 and n.customer_id = c.id and n.starts_at <= $3 and (n.ends_at is null or n.ends_at > $3)
        order by n.e164 limit 5
    ) as "numbers!",
    s.id as "subscription_id?", s.state as "state?", s.starts_at as "starts_at?", s.ends_at, s.auto_renew as "auto_renew?", s.zone as "zone?",
    v.name as "plan?", b.starts_at as "period_start?", b.ends_at as "period_end?", h.granted, h.used, h.expires_at
from customers c
left join lateral (
    select u.id, u.state, u.starts_at, u.ends_at, u.auto_renew, u.zone from subscriptions u
    where u.organization_id = $1 and u.customer_id = c.id and u.starts_at <= $3
    order by u.starts_at desc, u.id desc limit 1
) s on true
left join lateral (
    select p.name, w.document from subscription_segments g
    join plan_versions w on w.seller_id = g.seller_id and w.id = g.plan_version_id
    join plans p on p.seller_id = w.seller_id and p.id = w.plan_id
    where g.organization_id = $1 and g.subscription_id = s.id and g.starts_at <= $3
    order by g.starts_at desc limit 1
) v on true
left join lateral (
    select d.starts_at, d.ends_at from billing_periods d
    where d.organization_id = $1 and d.subscription_id = s.id and d.starts_at <= $3 and d.ends_at > $3
    order by d.starts_at desc limit 1
) b on true
left join lateral (
    -- Down for what is granted, up for what is used: nobody is promised time that is not there.
    select floor(sum(a.granted - a.forfeited))::bigint as granted, ceil(sum(a.used))::bigint as used, min(a.expires_at) as expires_at
    from allowance_grants a
    where a.organization_id = $1 and a.account_id = c.account_id and a.starts_at <= $3 and a.expires_at > $3
        and jsonb_path_exists(v.document, '$.allowances[*] ? (@.key == $key && @.meters[*] == "CALL_DURATION_SECONDS")',
            jsonb_build_object('key', a.allowance_key))
) h on s.state in ('trial', 'active', 'canceled') and (s.ends_at is null or s.ends_at > $3)
where c.organization_id = $1 and c.id = any ($2)
