-- What the accounts in $2, which are locked, have left for a call that begins at $4, as usage at that time is rated: terms,
-- credit in their currency at $7, caps and what counts under them, grants, tier totals, and the calls in progress, save the
-- one in $6. Beside them the call that has the key $5 already; and for a call out what the organization's guard, which is
-- locked, knows of its destination $10 with the numbers from $8 until $9.
select e.id as "existing?", f.standing as "guard?", s.account_id as "account_id?", s.payer as "payer?", s.seller_id as "seller_id?", s.plan_version_id as "plan_version_id?",
    s.zone as "zone?", s.period_starts_at as "period_starts_at?", s.wallet_id as "wallet_id?", s.currency as "currency?", s.balance as "balance?",
    s.reserved as "reserved?", s.credit_limit as "credit_limit?", s.undrawn_numerator as "undrawn_numerator?",
    s.undrawn_denominator as "undrawn_denominator?", s.lost as "lost?", s.own_amount as "own_amount?", s.own_wallet_id as "own_wallet_id?",
    s.is_open as "is_open?", s.cap as "cap?", s.cap_is_hard as "cap_is_hard?", s.totals as "totals?", s.grants as "grants?", s.tiers as "tiers?", s.calls as "calls?"
from (values (1)) as one (n)
left join call_authorizations e on e.organization_id = $1 and e.key = $5
left join lateral (
    select jsonb_build_object('holdsUnusual', g.holds_unusual, 'allowed', to_jsonb(g.allowed_destinations), 'country', o.country,
        'callsPerMinuteMax', g.calls_per_minute_max, 'callsPerHourMax', g.calls_per_hour_max, 'concurrentMax', g.concurrent_max,
        'hourlySpendMax', g.hourly_spend_max::text,
        'isReleased', coalesce(d.state = 'released', false), 'held', case d.state when 'held' then d.reason end,
        'allHeld', (select h.reason from fraud_holds h where h.organization_id = $1 and h.state = 'held' and h.holds_all limit 1),
        'hasCalled', exists (
            select from calls c where c.organization_id = $1 and c.external_party >= $8 and c.external_party < $9 and c.direction = 'outgoing'
                and c.started_at > $4::timestamptz - make_interval(days => g.history_days)
        ) or exists (
            select from call_authorizations z where z.organization_id = $1 and z.external_e164 >= $8 and z.external_e164 < $9
                and z.direction = 'outgoing' and z.started_at > $4::timestamptz - make_interval(days => g.history_days)
        ),
        'callsInMinute', (
            select count(*) from call_authorizations z where z.organization_id = $1 and z.direction = 'outgoing'
                and z.started_at > greatest($4::timestamptz - interval '1 minute', v.released_at)
        ),
        'callsInHour', (
            select count(*) from call_authorizations z where z.organization_id = $1 and z.direction = 'outgoing'
                and z.started_at > greatest($4::timestamptz - interval '1 hour', v.released_at)
        ),
        -- No call is let through for longer than a day.
        'inProgress', (
            select count(*) from call_authorizations z where z.organization_id = $1 and z.direction = 'outgoing'
                and z.started_at > greatest($4::timestamptz - interval '25 hours', v.released_at) and z.expires_at > $7 and z.released_at is null
                and not exists (select from call_reservations r where r.organization_id = $1 and r.authorization_id = z.id and r.state = 'settled')
        ),
        'spentInHour', case when g.hourly_spend_max is not null then (
            select max(t.amount)::text from (
                select sum(h.amount) as amount
                from calls c join charges h on h.organization_id = c.organization_id and h.call_id = c.id
                where c.organization_id = $1 and c.external_party >= $8 and c.external_party < $9 and c.direction = 'outgoing'
                    and c.started_at > greatest($4::timestamptz - interval '1 hour', d.released_at) and h.currency = o.currency
                group by h.payer
            ) t
        ) end)::text as standing
    from fraud_guards g
    join organizations o on o.id = g.organization_id
    left join fraud_holds d on d.organization_id = g.organization_id and d.destination = $10
    left join fraud_holds v on v.organization_id = g.organization_id and v.destination = ''
    where g.organization_id = $1 and g.enabled_at is not null and $8::text is not null
) f on true
left join lateral (
    select a.id as account_id, a.payer, x.seller_id, x.plan_version_id, coalesce(b.zone, o.zone) as zone, p.starts_at as period_starts_at,
        w.id as wallet_id, w.currency, w.balance, w.reserved, w.credit_limit, w.undrawn_numerator, w.undrawn_denominator,
        (select coalesce(sum(l.amount - l.used), 0) from wallet_lots l
            where l.organization_id = $1 and l.wallet_id = w.id and l.expires_at <= $7) as lost,
        m.amount as cap, m.is_hard as cap_is_hard,
        (select jsonb_agg(jsonb_build_object('periodStart', q.period_start, 'amount', q.amount::text))::text
            from spend_totals q where q.organization_id = $1 and q.account_id = a.id and q.currency = v.currency
                and q.period_start >= coalesce(p.starts_at, $4::timestamptz - interval '32 days')) as totals,
        own.amount as own_amount, own.wallet_id as own_wallet_id, own.authorization_id is not null as is_open,
        (select jsonb_agg(jsonb_build_object('id', q.id, 'allowanceKey', q.allowance_key, 'granted', q.granted::text, 'used', q.used::text,
                'forfeited', q.forfeited::text, 'startsAt', q.starts_at, 'expiresAt', q.expires_at))::text
            from allowance_grants q where q.organization_id = $1 and q.account_id = a.id and q.expires_at > $4) as grants,
        (select jsonb_agg(jsonb_build_object('priceKey', q.price_key, 'periodStart', q.period_start, 'quantity', q.quantity::text))::text
            from tier_totals q where q.organization_id = $1 and q.account_id = a.id
                and q.period_start >= coalesce(p.starts_at, $4::timestamptz - interval '32 days')) as tiers,
        (select jsonb_agg(jsonb_build_object('authorization', r.authorization_id, 'wallet', r.wallet_id, 'seller', r.seller_id,
                'version', r.plan_version_id, 'zone', r.zone, 'periodStart', r.period_start, 'amount', r.amount::text,
                'capCurrency', r.cap_currency, 'expiresAt', r.expires_at, 'direction', c.direction, 'external', c.external_e164, 'seconds', c.seconds,
                'startedAt', c.started_at) order by r.authorization_id)::text
            from call_reservations r
            join call_authorizations c on c.organization_id = r.organization_id and c.id = r.authorization_id
            where r.organization_id = $1 and r.account_id = a.id and r.state = 'open' and r.authorization_id is distinct from $6) as calls
    from unnest($2::uuid[]) as k (id)
    join accounts a on a.organization_id = $1 and a.id = k.id
    join organizations o on o.id = a.organization_id
    left join subscriptions b on b.organization_id = a.organization_id and b.account_id = a.id
        and b.starts_at <= $4 and (b.ends_at is null or $4 < b.ends_at)
        -- In a pause usage is charged as if there were no subscription.
        and not exists (select from subscription_pauses z where z.organization_id = b.organization_id and z.subscription_id = b.id
            and z.starts_at <= $4 and (z.ends_at is null or $4 < z.ends_at))
    left join subscription_segments g on g.organization_id = b.organization_id and g.subscription_id = b.id
        and g.starts_at <= $4 and $4 < g.ends_at
    left join billing_periods p on p.organization_id = b.organization_id and p.subscription_id = b.id
        and p.starts_at <= $4 and $4 < p.ends_at
    left join pay_per_call_terms t on a.payer = 'customer' and t.organization_id = a.organization_id
        and t.starts_at <= $4 and (t.ends_at is null or $4 < t.ends_at)
    cross join lateral (
        select case when b.id is null then t.organization_id else g.seller_id end as seller_id,
            case when b.id is null then t.plan_version_id else g.plan_version_id end as plan_version_id
    ) x
    left join plan_versions v on v.seller_id = x.seller_id and v.id = x.plan_version_id
    left join wallets w on w.organization_id = a.organization_id and w.account_id = a.id and w.currency = v.currency
        and w.customer_id is not distinct from case a.payer when 'customer' then $3::uuid end
    left join spend_caps m on m.organization_id = a.organization_id and m.payer = a.payer and m.currency = v.currency
        and m.customer_id is not distinct from case a.payer when 'customer' then $3::uuid end
    left join call_reservations own on own.organization_id = a.organization_id and own.authorization_id = $6::uuid and own.account_id = a.id
        and own.state = 'open'
) s on true
order by s.account_id
