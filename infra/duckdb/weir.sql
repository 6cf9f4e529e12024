-- Every stored sample as one view, for DuckDB: run in the folder that holds `blocks/` (weir-data/lake here,
-- the bucket's address on S3: replace 'blocks/' by 's3://BUCKET/blocks/').
--
-- A value is (base + step * units) / divisor, unless the column `value` overrides it; native histograms and
-- sets have none. Samples appear once they are compacted (every 5 minutes, or POST /api/v1/admin/compact).
-- Blocks that compaction has just replaced stay for 15 minutes where other processes read, too: of two rows
-- of one series and timestamp the one of the greater block counts, and `latest` says which that is.
--
-- Rollups are the same with res=1m/agg=*, res=1h/agg=* or res=1d/agg=* for res=raw, and r.agg beside r.res: each
-- row is an interval, `agg` what of it (sum, count, last, first, min, max, squares, resets, distribution). What
-- follows from other aggregates is not stored: a minimum or maximum that is the first or last value, say.
CREATE OR REPLACE VIEW weir AS
SELECT r.tenant, r.res, r.metric, r.labels, r.kind, r.temporality, r.id, s.timestamp,
       CASE WHEN s.histogram IS NULL AND s.set IS NULL
            THEN coalesce(s.value, (r.base + r.step * s.units) / r.divisor) END AS value,
       s.histogram, s.set,
       s.block = max(s.block) OVER (PARTITION BY r.tenant, r.res, r.id, s.timestamp) AS latest
FROM read_parquet('blocks/tenant=*/res=raw/**/samples-*.parquet', hive_partitioning = true) s
JOIN read_parquet('blocks/tenant=*/res=raw/**/series-*.parquet', hive_partitioning = true) r USING (block, series);
