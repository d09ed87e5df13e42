"""grpc_pass: real calls of a real client to a real service, through weir."""
import concurrent.futures
import contextlib
import os
import signal
import tempfile
import threading
import time

import pytest

from certificates import authority, certificate, files
from conftest import free_port

grpc = pytest.importorskip('grpc')

B = certificate('b.test', '127.0.0.1')


class Service:
    """Calls of bytes: what each does is in its name."""

    def __init__(self, tls=None, address=None):
        self.port = free_port()
        self.metadata, self.peers, self.cancelled = [], [], threading.Event()
        self.hold = threading.Event()
        self.server = grpc.server(concurrent.futures.ThreadPoolExecutor(16))
        self.server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler('t.S', {
            'Echo': grpc.unary_unary_rpc_method_handler(self.echo),
            'Fail': grpc.unary_unary_rpc_method_handler(self.fail),
            'Slow': grpc.unary_unary_rpc_method_handler(self.slow),
            'Meta': grpc.unary_unary_rpc_method_handler(self.meta),
            'Down': grpc.unary_stream_rpc_method_handler(self.down),
            'Up': grpc.stream_unary_rpc_method_handler(self.up),
            'Both': grpc.stream_stream_rpc_method_handler(self.both),
            'Drip': grpc.unary_stream_rpc_method_handler(self.drip),
        }),))
        self.at = address or f'127.0.0.1:{self.port}'
        if tls:
            pair = tuple(p.read_bytes() for p in reversed(tls.paths))
            self.server.add_secure_port(self.at, grpc.ssl_server_credentials((pair,)))
        else:
            self.server.add_insecure_port(self.at)
        self.server.start()

    def seen(self, context):
        self.metadata.append(dict(context.invocation_metadata()))
        self.peers.append(context.peer())

    def echo(self, request, context):
        self.seen(context)
        return request

    def fail(self, request, context):
        self.seen(context)
        context.set_trailing_metadata((('x-why', 'because'),))
        context.abort(grpc.StatusCode.NOT_FOUND, 'kein Käse')

    def slow(self, request, context):
        context.add_callback(self.cancelled.set)
        self.hold.wait(20)
        return request

    def meta(self, request, context):
        self.seen(context)
        context.send_initial_metadata((('x-first', 'one'), ('x-bin', b'\0\1\2')))
        context.set_trailing_metadata((('x-last', 'two'),))
        return request

    def down(self, request, context):
        for i in range(int(request)):
            yield b'%d' % i

    def up(self, requests, context):
        return b'%d' % sum(len(r) for r in requests)

    def both(self, requests, context):
        self.seen(context)
        for r in requests:
            yield r.upper()

    def drip(self, request, context):
        for i in range(int(request)):
            yield b'%d' % i
            time.sleep(0.02)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.hold.set()
        self.server.stop(None).wait()


OPTIONS = [('grpc.enable_http_proxy', 0), ('grpc.use_local_subchannel_pool', 1),
           ('grpc.max_receive_message_length', -1), ('grpc.max_send_message_length', -1)]


@contextlib.contextmanager
def calls(s, tls=False):
    """call(name, kind): a function that makes such calls."""
    address = f'127.0.0.1:{s.port}'
    if tls:
        credentials = grpc.ssl_channel_credentials(authority().paths[0].read_bytes())
        channel = grpc.secure_channel(address, credentials, OPTIONS)
    else:
        channel = grpc.insecure_channel(address, OPTIONS)
    with channel as c:
        yield lambda name, kind='unary_unary': getattr(c, kind)(f'/t.S/{name}')


def behind(weir, service, more='', tls=False, scheme='grpc', **kw):
    site = f'http2 on; location / {{ grpc_pass {scheme}://{service.at}; {more} }}'
    return weir(site, **kw)


@pytest.fixture
def service():
    with Service() as s:
        yield s


def test_a_unary_call(weir, service, engine):
    s = behind(weir, service)
    with calls(s) as call:
        for i in range(20):
            assert call('Echo')(b'hello %d' % i, timeout=5) == b'hello %d' % i
    # on threads, a connection is not kept while an acknowledgement is on its way
    assert len(set(service.peers)) <= (5 if engine == 'threads' else 1)


def test_a_server_streams(weir, service):
    s = behind(weir, service)
    with calls(s) as call:
        assert list(call('Down', 'unary_stream')(b'500', timeout=10)) == \
            [b'%d' % i for i in range(500)]


def test_a_client_streams(weir, service):
    s = behind(weir, service)
    with calls(s) as call:
        assert call('Up', 'stream_unary')((b'x' * 100 for _ in range(300)), timeout=10) == b'30000'


def test_both_stream_in_turns(weir, service):
    """Each message is sent only when the answer to the one before has come."""
    s = behind(weir, service)
    turn = threading.Semaphore(1)

    def requests():
        for i in range(30):
            assert turn.acquire(timeout=5)
            yield b'say %d' % i

    got = []
    with calls(s) as call:
        for m in call('Both', 'stream_stream')(requests(), timeout=20):
            got.append(m)
            turn.release()
    assert got == [b'SAY %d' % i for i in range(30)]


def test_an_error_has_its_status_and_trailers(weir, service):
    s = behind(weir, service)
    with calls(s) as call:
        with pytest.raises(grpc.RpcError) as e:
            call('Fail')(b'', timeout=5)
    assert e.value.code() == grpc.StatusCode.NOT_FOUND
    assert e.value.details() == 'kein Käse'
    assert ('x-why', 'because') in e.value.trailing_metadata()


def test_metadata_goes_both_ways(weir, service):
    s = behind(weir, service, 'grpc_set_header X-Set "$host"; grpc_hide_header X-Hidden;')
    with calls(s) as call:
        sent = (('x-mine', 'yes'), ('x-mine-bin', b'\xff\0'))
        answer, about = call('Meta').with_call(b'm', timeout=5, metadata=sent)
    assert answer == b'm'
    seen = service.metadata[0]
    assert seen['x-mine'] == 'yes' and seen['x-mine-bin'] == b'\xff\0'
    assert seen['x-set'] == '127.0.0.1'
    first, last = dict(about.initial_metadata()), dict(about.trailing_metadata())
    assert first['x-first'] == 'one' and first['x-bin'] == b'\0\1\2' and last['x-last'] == 'two'


@pytest.mark.parametrize('size', [16384, 1 << 20, 8 << 20])
def test_large_messages(weir, service, size):
    s = behind(weir, service, 'client_max_body_size 0;')
    body = bytes(range(256)) * (size // 256)
    with calls(s) as call:
        if size <= 1 << 20:
            assert call('Echo')(body, timeout=20) == body
        got = list(call('Both', 'stream_stream')((body[:1 << 20] for _ in range(size >> 20)),
                                                 timeout=20))
    assert got == [body[:1 << 20].upper()] * (size >> 20)


def test_a_deadline_ends_a_call(weir, service):
    s = behind(weir, service)
    with calls(s) as call:
        began = time.monotonic()
        with pytest.raises(grpc.RpcError) as e:
            call('Slow')(b'', timeout=0.5)
        assert e.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
        assert time.monotonic() - began < 5
        assert service.cancelled.wait(5), 'the server was not told'


def test_a_cancelled_call_is_cancelled_at_the_server(weir, service):
    s = behind(weir, service)
    with calls(s) as call:
        c = call('Slow').future(b'')
        time.sleep(0.3)
        c.cancel()
        assert service.cancelled.wait(5)
        service.hold.set()
        assert call('Echo')(b'after', timeout=5) == b'after'


def test_tls_on_both_sides(weir):
    with Service(tls=B) as service:
        s = weir(servers='server { listen 127.0.0.1:PORT ssl; http2 on; ssl_certificate b.crt; '
                         'ssl_certificate_key b.key; grpc_ssl_trusted_certificate ca.crt; '
                         f'location / {{ grpc_pass grpcs://{service.at}; grpc_ssl_verify on; '
                         'grpc_ssl_name b.test; } }', files=files(b=B, ca=authority()))
        with calls(s, tls=True) as call:
            for i in range(5):
                assert call('Echo')(b'%d' % i, timeout=5) == b'%d' % i
            assert list(call('Both', 'stream_stream')(iter([b'a', b'b']), timeout=5)) == \
                [b'A', b'B']


def test_a_unix_socket(weir):
    with tempfile.TemporaryDirectory() as d, Service(address=f'unix:{d}/g') as service:
        os.chmod(d, 0o755)
        os.chmod(f'{d}/g', 0o777)
        s = behind(weir, service)
        with calls(s) as call:
            assert call('Echo')(b'hello', timeout=5) == b'hello'
            assert list(call('Down', 'unary_stream')(b'3', timeout=5)) == [b'0', b'1', b'2']


def test_an_upstream_and_variables(weir, service):
    s = weir('http2 on; location / { grpc_pass grpc://$to; }',
             http=f'upstream back {{ server {service.at}; keepalive 4; }} '
                  'map $http_x_to $to { default back; direct ' + service.at + '; }')
    with calls(s) as call:
        assert call('Echo')(b'1', timeout=5) == b'1'
        assert call('Echo')(b'2', timeout=5, metadata=(('x-to', 'direct'),)) == b'2'


def test_nobody_there_is_unavailable(weir):
    s = weir(f'http2 on; location / {{ grpc_pass 127.0.0.1:{free_port()}; }}')
    with calls(s) as call:
        with pytest.raises(grpc.RpcError) as e:
            call('Echo')(b'', timeout=5)
    assert e.value.code() == grpc.StatusCode.UNAVAILABLE


def test_error_page_makes_a_grpc_status_of_it(weir):
    s = weir(f'http2 on; location / {{ grpc_pass 127.0.0.1:{free_port()}; '
             'error_page 502 = /down; } location = /down { internal; default_type '
             'application/grpc; add_header grpc-status 8; add_header grpc-message "go away"; '
             'return 204; }')
    with calls(s) as call:
        with pytest.raises(grpc.RpcError) as e:
            call('Echo')(b'', timeout=5)
    assert e.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert e.value.details() == 'go away'


def test_reloads_do_not_disturb_a_stream(weir, service):
    s = behind(weir, service)
    with calls(s) as call:
        stream = call('Drip', 'unary_stream')(b'60', timeout=30)
        got = []
        for m in stream:
            got.append(m)
            s.signal(signal.SIGHUP)
            s.signal(signal.SIGHUP)
    assert got == [b'%d' % i for i in range(60)]


def test_a_killed_server_ends_the_call(weir):
    with Service() as service:
        s = behind(weir, service)
        with calls(s) as call:
            stream = call('Drip', 'unary_stream')(b'10000', timeout=20)
            assert next(stream) == b'0'
            service.server.stop(None)
            with pytest.raises(grpc.RpcError):
                list(stream)


def test_trailers_are_variables(weir, service):
    s = behind(weir, service, 'access_log seen.log t;',
               http='log_format t "$upstream_trailer_grpc_status $upstream_status '
                    '$upstream_http_content_type";')
    with calls(s) as call:
        call('Echo')(b'x', timeout=5)
    assert '0 200 application/grpc\n' in s.file('seen.log', contains='grpc')


class Health:
    """grpc.health.v1.Health, whose messages are written out."""

    def __init__(self):
        self.asked, self.answer = [], b'\x08\x01'

    def check(self, request, context):
        self.asked.append(request)
        return self.answer


@pytest.mark.parametrize('name', ['', 'my.Service'])
def test_health_checks_by_grpc(weir, name):
    health = Health()
    with Service() as service:
        service.server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(
            'grpc.health.v1.Health',
            {'Check': grpc.unary_unary_rpc_method_handler(health.check)}),))
        more = f' grpc_service={name}' if name else ''
        s = weir('http2 on; location / { grpc_pass grpc://back; '
                 f'health_check interval=100ms type=grpc{more}; }}',
                 http=f'upstream back {{ zone z 64k; server {service.at} max_fails=0; }}')
        with calls(s) as call:
            assert call('Echo')(b'well', timeout=5, wait_for_ready=True) == b'well'
            health.answer = b'\x08\x02'
            s.wait_log('is unhealthy while checking the service')
            with pytest.raises(grpc.RpcError):
                call('Echo')(b'ill', timeout=5)
            health.answer = b'\x08\x01'
            s.wait_log('is healthy while')
            assert call('Echo')(b'well', timeout=5) == b'well'
    assert health.asked[0] == (b'\x0a%c%s' % (len(name), name.encode()) if name else b'')


def test_health_checks_by_a_status(weir, service):
    """The service does not know the protocol: UNIMPLEMENTED is well, if that is said."""
    s = weir('http2 on; location / { grpc_pass grpc://back; '
             'health_check mandatory interval=100ms type=grpc grpc_status=12; } '
             'location /t.S/Bad { grpc_pass grpc://bad; '
             'health_check mandatory interval=100ms type=grpc; }',
             http=f'upstream back {{ zone z 64k; server {service.at}; }} '
                  f'upstream bad {{ zone y 64k; server {service.at}; }}')
    s.wait_log('is healthy while')
    with calls(s) as call:
        assert call('Echo')(b'well', timeout=5) == b'well'
        with pytest.raises(grpc.RpcError) as e:
            call('Bad')(b'', timeout=5)
        assert e.value.code() == grpc.StatusCode.UNAVAILABLE


def test_health_checks_by_grpc_want_a_grpc_pass(weir):
    s = weir('location / { proxy_pass http://back; health_check type=grpc; }',
             http='upstream back { zone z 64k; server 127.0.0.1:1; }', start=False)
    assert 'type=grpc is for locations that have a grpc_pass' in s.command('-t').stderr
