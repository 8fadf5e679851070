-- Who may see a call, a message or a voicemail is written again whenever it changes: found by the record, not by the member.
create index call_viewers_call_id_idx on call_viewers (organization_id, call_id);
create index message_viewers_message_id_idx on message_viewers (organization_id, message_id);
create index voicemail_viewers_voicemail_id_idx on voicemail_viewers (organization_id, voicemail_id);
