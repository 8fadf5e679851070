-- Everything that came of the webhooks of one organization, one line for each thing, without identifiers of our own: the
-- same history gives the same lines, in whichever order it arrived.
with call as (
    select c.*, case when c.merged_into_id is null then c.conversation_sid else r.conversation_sid end as root
    from calls c
    left join calls r on r.organization_id = c.organization_id and r.id = c.merged_into_id
), person as (
    select c.id, concat(nullif(c.name, ''), ' ', (select string_agg(n.e164, '+' order by n.e164)
        from customer_numbers n where n.organization_id = c.organization_id and n.customer_id = c.id)) as name
    from customers c
), agent as (
    select user_id, provider_user_sid as sid from memberships where provider_user_sid is not null
), line as (
    select m.id, n.e164 from number_mappings m join phone_numbers n on n.id = m.phone_number_id
), charge as (
    select c.* from charges c
    where c.reverses_id is null
        and not exists (select from charges r where r.organization_id = c.organization_id and r.reverses_id = c.id)
)
select concat_ws(' | ', 'call', c.root, c.direction, c.state, c.outcome, c.external_party, c.from_party, c.to_party, n.e164, l.e164,
        'of ' || p.name, 'by ' || a.sid, c.started_at, c.answered_at, c.ended_at, c.billable_seconds || ' s', c.leg_count || ' legs',
        'check ' || c.check_at, 'swept ' || c.swept_at,
        'seen by ' || (select string_agg(v.sid, ',' order by v.sid) from unnest(c.viewer_ids) u (id) join agent v on v.user_id = u.id)) as line
    from call c
    left join phone_numbers n on n.id = c.phone_number_id
    left join line l on l.id = c.mapping_id
    left join person p on p.id = c.customer_id
    left join agent a on a.user_id = c.answered_by
    where c.merged_into_id is null
union all
select concat_ws(' | ', 'list of', a.sid, v.started_at, c.root)
    from call_viewers v join call c on c.id = v.call_id left join agent a on a.user_id = v.user_id
union all
select concat_ws(' | ', 'leg', c.root, l.sid, l.parent_sid, l.phase, l.external_party, l.our_number, a.sid, l.started_at, l.answered_at,
        l.ended_at)
    from call_legs l join call c on c.id = l.call_id left join agent a on a.user_id = l.answered_by
union all
select concat_ws(' | ', 'message', m.sid, m.direction, m.status, m.external_party, m.from_party, m.to_parties, m.body, m.error_code,
        n.e164, l.e164, 'of ' || p.name, m.occurred_at,
        'seen by ' || (select string_agg(v.sid, ',' order by v.sid) from unnest(m.viewer_ids) u (id) join agent v on v.user_id = u.id),
        (select count(*) from message_viewers v where v.message_id = m.id and v.occurred_at = m.occurred_at) || ' lists')
    from messages m
    left join phone_numbers n on n.id = m.phone_number_id
    left join line l on l.id = m.mapping_id
    left join person p on p.id = m.customer_id
union all
select concat_ws(' | ', 'voicemail', c.root, v.sid, v.duration_seconds, v.transcript, v.occurred_at, v.provider_url is not null,
        'seen by ' || (select string_agg(a.sid, ',' order by a.sid) from unnest(v.viewer_ids) u (id) join agent a on a.user_id = u.id),
        (select count(*) from voicemail_viewers w where w.voicemail_id = v.id and w.occurred_at = v.occurred_at) || ' lists')
    from voicemails v join call c on c.id = v.call_id
union all
-- Without the provider's id and when it was started: version 1's webhook of a recording lists its sound without either, and
-- asked for the same recording the provider gives both.
select concat_ws(' | ', 'recording', c.root, r.occurred_at, r.duration_seconds, r.content_type, r.object_key is not null,
        'seen by ' || (select string_agg(a.sid, ',' order by a.sid) from unnest(r.viewer_ids) u (id) join agent a on a.user_id = u.id))
    from recordings r join call c on c.id = r.call_id
union all
select concat_ws(' | ', 'transcript', c.root, t.dialogue, t.summary, t.next_steps,
        'seen by ' || (select string_agg(a.sid, ',' order by a.sid) from unnest(t.viewer_ids) u (id) join agent a on a.user_id = u.id))
    from transcripts t join call c on c.id = t.call_id
union all
select concat_ws(' | ', 'prospect', c.kind, p.name, (select count(*) from customer_numbers n where n.customer_id = c.id) || ' numbers')
    from customers c join person p on p.id = c.id
union all
select concat_ws(' | ', 'usage', u.meter, 'on ' || l.e164, 'of ' || p.name, 'by ' || a.sid, u.occurred_at, 'call ' || c.root, sum(u.quantity))
    from usage_events u
    left join line l on l.id = u.mapping_id
    left join person p on p.id = u.customer_id
    left join agent a on a.user_id = u.user_id
    left join call c on c.id = u.call_id
    group by u.meter, l.e164, p.name, a.sid, u.occurred_at, c.root having sum(u.quantity) <> 0
union all
select concat_ws(' | ', 'counter', meter, period_start, quantity) from usage_counters where quantity <> 0
union all
select concat_ws(' | ', 'number', l.e164, period_start, voice_seconds, voice_minutes, voice_calls, sms_sent, sms_received)
    from number_counters c join line l on l.id = c.mapping_id
union all
select concat_ws(' | ', 'charge', 'of ' || p.name, 'call ' || c.root, k.kind, k.price_key, sum(k.quantity), sum(k.amount), k.currency)
    from charge k left join person p on p.id = k.customer_id left join call c on c.id = k.call_id
    group by p.name, c.root, k.kind, k.price_key, k.currency
    -- Usage that was taken back to the last unit may have left a charge of nothing.
    having sum(k.quantity) <> 0 or sum(k.amount) <> 0
order by line
