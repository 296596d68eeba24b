-- What was configured and what was taken back, newest first, before a place in that order. Notices of invoices change
-- nothing, so they are left out. '' fits any filter; whose a change is stands in its object.
SELECT
    event_id, if(kind = 'void', 'meter.voided', config_type) AS type, actor, detail,
    toUnixTimestamp64Milli(entries.recorded_at) AS recorded_at
FROM rev.entries AS entries
WHERE kind IN ('config', 'void')
    AND actor != 'collector'
    AND (toUnixTimestamp64Milli(entries.recorded_at), event_id) < ({before_time:Int64}, {before_id:UInt64})
    AND ({about:String} = '' OR startsWith(type, concat({about:String}, '.')))
    AND ({without:String} = '' OR NOT startsWith(type, concat({without:String}, '.')))
    AND ({customer:String} = '' OR JSONExtractString(detail, 'customer_id') = {customer:String})
    AND ({actor:String} = '' OR actor = {actor:String})
ORDER BY entries.recorded_at DESC, event_id DESC
LIMIT {limit:UInt32}
