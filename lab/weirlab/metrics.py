"""What can be measured: one row each, with its unit and which way is better."""
from typing import NamedTuple


class Metric(NamedTuple):
    label: str
    unit: str
    better: str          # 'less', 'more' or '' when neither is
    client: bool = False  # says nothing about the server when the client was the bottleneck


METRICS = {
    'cpu_us': Metric('Server CPU per request', 'µs', 'less'),
    'user_us': Metric('of it in user space', 'µs', 'less'),
    'system_us': Metric('of it in the kernel', 'µs', 'less'),
    'cpu_share': Metric('Server CPU, share of one CPU', '%', 'less'),
    'rps': Metric('Requests answered', '1/s', 'more', True),
    'p50_us': Metric('Latency, median', 'µs', 'less', True),
    'p90_us': Metric('Latency, 90th percentile', 'µs', 'less', True),
    'p99_us': Metric('Latency, 99th percentile', 'µs', 'less', True),
    'p999_us': Metric('Latency, 99.9th percentile', 'µs', 'less', True),
    'max_us': Metric('Latency, longest', 'µs', 'less', True),
    'switches': Metric('Context switches per request', '', 'less'),
    'syscalls': Metric('System calls per request', '', 'less'),
    'user_bytes': Metric('User memory per connection', 'B', 'less'),
    'kernel_bytes': Metric('Kernel memory per connection', 'B', 'less'),
    'stack_bytes': Metric('Kernel stacks per connection', 'B', 'less'),
    'threads': Metric('Threads of the server', '', ''),
    'io_workers': Metric('Kernel worker threads (io-wq, SQPOLL)', '', 'less'),
    'event_us': Metric('Time per event', 'µs', 'less'),
    'event_cpu_us': Metric('CPU time per event', 'µs', 'less'),
    'reads': Metric('Reads', '1/s', 'more'),
    'read_cpu_us': Metric('CPU time per read', 'µs', 'less'),
    'read_p99_us': Metric('Read latency, 99th percentile', 'µs', 'less'),
}
