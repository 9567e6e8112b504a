select strftime('%f', 'now') as moment;
